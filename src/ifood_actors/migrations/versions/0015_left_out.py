"""Accounts that a run left out because they are idle; coverage and freshness know it."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

VIEWS = ("coverage", "freshness")
STATEMENTS = Path(__file__).with_suffix("")


def upgrade() -> None:
    op.create_table(
        "ifood_left_out",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("job_day", sa.Date(), nullable=False),
        sa.Column("asked_again_on", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_ifood_left_out_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("account_id", "job_type", name=op.f("pk_ifood_left_out")),
    )
    for view in VIEWS:
        statements = (STATEMENTS / f"{view}.sql").read_text(encoding="utf-8")
        op.get_bind().exec_driver_sql(statements)
