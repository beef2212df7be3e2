"""Accounts, applications, and the ledger with its history."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A person's UPDATE leaves `event_no` alone; every act of the ledger increments it. So a change that
# matters and was made by hand is noticed here: it gets its row in the history, and the job is woken
# (or put to rest), no matter which columns the person changed.
#
# It writes with its owner's rights: a person who may repair jobs by hand need not be able to write,
# or to forge, history. `session_user` is still the person.
NOTICE_MANUAL_CHANGES = """
CREATE FUNCTION ifood_notice_manual_change() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    NEW.event_no := 1;
  ELSE
    NEW.event_no := OLD.event_no + 1;
  END IF;
  NEW.updated_at := statement_timestamp();
  NEW.dispatched_at := NULL;
  NEW.lease_expires_at := NULL;
  NEW.locked_at := NULL;
  NEW.locked_by := NULL;
  IF NEW.status IN ('pending', 'running') THEN
    NEW.wake_at := statement_timestamp();
    NEW.finished_at := NULL;
  ELSE
    NEW.wake_at := NULL;
    NEW.finished_at := statement_timestamp();
  END IF;
  INSERT INTO ifood_job_events
    (job_id, event_no, at, act, from_status, to_status, attempt, actor, reason)
  VALUES (NEW.id, NEW.event_no, statement_timestamp(), 'manual',
    CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, NEW.status, NEW.attempts, session_user,
    concat('SQL by hand, ', nullif(current_setting('application_name'), '')));
  RETURN NEW;
END $$;

REVOKE EXECUTE ON FUNCTION ifood_notice_manual_change() FROM PUBLIC;

CREATE TRIGGER notice_manual_change BEFORE UPDATE ON ifood_jobs FOR EACH ROW
WHEN (NEW.event_no = OLD.event_no AND (
  NEW.status IS DISTINCT FROM OLD.status
  OR NEW.scheduled_for IS DISTINCT FROM OLD.scheduled_for
  OR NEW.next_retry_at IS DISTINCT FROM OLD.next_retry_at))
EXECUTE FUNCTION ifood_notice_manual_change();

CREATE TRIGGER notice_manual_insert BEFORE INSERT ON ifood_jobs FOR EACH ROW
WHEN (NEW.event_no = 0)
EXECUTE FUNCTION ifood_notice_manual_change();
"""

APPEND_ONLY = """
CREATE FUNCTION ifood_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the history of jobs is append-only';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ifood_job_events
FOR EACH STATEMENT EXECUTE FUNCTION ifood_refuse_change();
"""


def upgrade() -> None:
    op.create_table(
        "ifood_apps",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("client_secret_encrypted", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "kind IN ('centralized', 'distributed')", name=op.f("ck_ifood_apps_kind")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ifood_apps")),
        sa.UniqueConstraint("name", name=op.f("uq_ifood_apps_name")),
    )
    op.create_table(
        "ifood_job_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("event_no", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("from_status", sa.Text(), nullable=True),
        sa.Column("to_status", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", postgresql.JSONB(), nullable=True),
        sa.CheckConstraint(
            "act IN ('plan', 'dispatch', 'claim', 'succeed', 'retry', 'snooze', 'fail', 'rescue', 'cancel', 'requeue', 'manual')",
            name=op.f("ck_ifood_job_events_act"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ifood_job_events")),
        sa.UniqueConstraint("job_id", "event_no", name=op.f("uq_ifood_job_events_job_id_event_no")),
    )
    op.create_index(
        "idx_job_events_at", "ifood_job_events", ["at"], unique=False, postgresql_using="brin"
    )
    op.create_table(
        "ifood_limits",
        sa.Column("app_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_group", sa.Text(), nullable=False),
        sa.Column("next_free_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_reason", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("learned_per_minute", sa.Integer(), nullable=True),
        sa.Column("learned_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("app_id", "endpoint_group", name=op.f("pk_ifood_limits")),
    )
    op.create_table(
        "ifood_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("job_day", sa.Date(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("window_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("planned", sa.Integer(), server_default="0", nullable=False),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ifood_runs")),
        sa.UniqueConstraint("job_type", "job_day", name=op.f("uq_ifood_runs_job_type_job_day")),
    )
    op.create_table(
        "ifood_authorizations",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("app_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("access_token_encrypted", sa.Text(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("renew_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("renewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refresh_token_encrypted", sa.Text(), nullable=True),
        sa.Column("refresh_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused_reason", sa.Text(), nullable=True),
        sa.Column("needs_authorization_since", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["app_id"],
            ["ifood_apps.id"],
            name=op.f("fk_ifood_authorizations_app_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ifood_authorizations")),
        sa.UniqueConstraint("app_id", "name", name=op.f("uq_ifood_authorizations_app_id_name")),
    )
    op.create_table(
        "accounts",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("ifood_merchant_id", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("active", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("timezone", sa.Text(), server_default="America/Sao_Paulo", nullable=False),
        sa.Column("app_id", sa.Uuid(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("authorization_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["app_id"], ["ifood_apps.id"], name=op.f("fk_accounts_app_id")),
        sa.ForeignKeyConstraint(
            ["authorization_id"],
            ["ifood_authorizations.id"],
            name=op.f("fk_accounts_authorization_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("ifood_merchant_id", name=op.f("uq_accounts_ifood_merchant_id")),
    )
    op.create_index(
        op.f("ix_accounts_authorization_id"), "accounts", ["authorization_id"], unique=False
    )
    op.create_table(
        "ifood_jobs",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("job_day", sa.Date(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("scheduled_for", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("locked_by", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("period_end", sa.Date(), nullable=False),
        sa.Column("dispatched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dispatch_no", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_no", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "wake_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=True
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("result", postgresql.JSONB(), nullable=True),
        sa.Column("event_no", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "(status IN ('pending', 'running')) = (wake_at IS NOT NULL)",
            name=op.f("ck_ifood_jobs_wake_at"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'running', 'success', 'failed', 'cancelled')",
            name=op.f("ck_ifood_jobs_status"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_ifood_jobs_account_id")
        ),
        sa.ForeignKeyConstraint(["run_id"], ["ifood_runs.id"], name=op.f("fk_ifood_jobs_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ifood_jobs")),
        sa.UniqueConstraint(
            "job_type",
            "account_id",
            "merchant_id",
            "job_day",
            name=op.f("uq_ifood_jobs_job_type_account_id_merchant_id_job_day"),
        ),
    )
    op.create_index("idx_jobs_day", "ifood_jobs", ["job_type", "job_day"], unique=False)
    op.create_index(
        "idx_jobs_pending", "ifood_jobs", ["job_type", "status", "scheduled_for"], unique=False
    )
    op.create_index("idx_jobs_run", "ifood_jobs", ["run_id", "status"], unique=False)
    op.create_index(
        "idx_jobs_wake_at",
        "ifood_jobs",
        ["wake_at"],
        unique=False,
        postgresql_where=sa.text("wake_at IS NOT NULL"),
    )
    op.execute(NOTICE_MANUAL_CHANGES)
    op.execute(APPEND_ONLY)
