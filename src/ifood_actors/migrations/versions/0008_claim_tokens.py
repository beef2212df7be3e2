"""Each claim has a token of its own, so that a lease number given out twice gives no stale worker access."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# A person who changes a job takes it from its worker: the token goes with the lock.
NOTICE_MANUAL_CHANGES = """
CREATE OR REPLACE FUNCTION ifood_notice_manual_change() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    NEW.event_no := OLD.event_no + 1;
  END IF;
  NEW.updated_at := statement_timestamp();
  NEW.dispatched_at := NULL;
  NEW.lease_expires_at := NULL;
  NEW.locked_at := NULL;
  NEW.locked_by := NULL;
  NEW.claim_token := NULL;
  IF NEW.status IN ('pending', 'running') THEN
    NEW.wake_at := statement_timestamp();
    NEW.finished_at := NULL;
  ELSE
    NEW.wake_at := NULL;
    NEW.finished_at := statement_timestamp();
  END IF;
  IF TG_OP = 'UPDATE' THEN
    PERFORM ifood_write_manual_change(NEW, OLD.status);
  END IF;
  RETURN NEW;
END $$;
"""


def upgrade() -> None:
    op.add_column("ifood_jobs", sa.Column("claim_token", sa.Uuid(), nullable=True))
    op.execute(NOTICE_MANUAL_CHANGES)
