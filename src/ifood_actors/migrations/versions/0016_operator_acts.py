"""What operators had the program change: append-only, and judged when it is written."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# A login that may write, also the owner, cannot choose the instant or the login; a restore from a
# backup makes its triggers last, and keeps both.
JUDGED = """
CREATE FUNCTION ifood_judge_operator_act() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.at := statement_timestamp();
  NEW.login := session_user;
  RETURN NEW;
END $$;

CREATE FUNCTION ifood_refuse_changed_act() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the acts of operators are append-only, and kept for 90 days at least';
END $$;

REVOKE EXECUTE ON FUNCTION ifood_judge_operator_act, ifood_refuse_changed_act FROM PUBLIC;

CREATE TRIGGER judge BEFORE INSERT ON ifood_operator_acts FOR EACH ROW
EXECUTE FUNCTION ifood_judge_operator_act();

CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON ifood_operator_acts FOR EACH STATEMENT
EXECUTE FUNCTION ifood_refuse_changed_act();

CREATE TRIGGER kept_for_90_days BEFORE DELETE ON ifood_operator_acts FOR EACH ROW
WHEN (OLD.at >= statement_timestamp() - INTERVAL '90 days')
EXECUTE FUNCTION ifood_refuse_changed_act();
"""


def upgrade() -> None:
    op.create_table(
        "ifood_operator_acts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text()),
        sa.Column("detail", postgresql.JSONB()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ifood_operator_acts")),
        sa.CheckConstraint(
            "length(actor) BETWEEN 1 AND 200 AND length(act) BETWEEN 1 AND 60"
            " AND length(subject) <= 200 AND length(detail::text) <= 8000",
            name=op.f("ck_ifood_operator_acts_bounded"),
        ),
        sa.CheckConstraint(
            "concat(actor, act, subject) !~ '[[:cntrl:]]'",
            name=op.f("ck_ifood_operator_acts_printable"),
        ),
    )
    op.execute(JUDGED)
