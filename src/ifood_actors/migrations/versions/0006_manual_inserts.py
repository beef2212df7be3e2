"""A job that a person inserts gets its row in the history only if it was really inserted."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Before an INSERT it is not known yet whether ON CONFLICT will drop the row: so the history is written
# after it. `event_no` stays 0 until then, and becoming 1 is no change by hand.
NOTICE_MANUAL_INSERTS = """
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

CREATE FUNCTION ifood_write_manual_change(job ifood_jobs, former_status text) RETURNS void
LANGUAGE sql SET search_path FROM CURRENT AS $$
  INSERT INTO ifood_job_events
    (job_id, event_no, at, act, from_status, to_status, attempt, actor, reason)
  VALUES (job.id, job.event_no, statement_timestamp(), 'manual', former_status, job.status,
    job.attempts, session_user,
    concat('SQL by hand, ', nullif(current_setting('application_name'), '')))
$$;

CREATE FUNCTION ifood_notice_manual_insert() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  NEW.event_no := 1;
  UPDATE ifood_jobs SET event_no = 1 WHERE id = NEW.id;
  PERFORM ifood_write_manual_change(NEW, NULL);
  RETURN NULL;
END $$;

REVOKE EXECUTE ON FUNCTION ifood_write_manual_change, ifood_notice_manual_insert FROM PUBLIC;

CREATE TRIGGER write_manual_insert AFTER INSERT ON ifood_jobs FOR EACH ROW
WHEN (NEW.event_no = 0)
EXECUTE FUNCTION ifood_notice_manual_insert();
"""


def upgrade() -> None:
    op.execute(NOTICE_MANUAL_INSERTS)
