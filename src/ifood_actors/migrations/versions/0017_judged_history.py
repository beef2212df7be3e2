"""The history is judged where it is written, so that no login can forge, skip or lose a row."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# When somebody looks at a job next is no act: every process may set it alone.
_NEXT_LOOK = "'{dispatched_at, lease_expires_at, wake_at, updated_at}'::text[]"
# Who holds a job, and when it ended, follows from acts: nobody sets it alone.
_OF_ACTS = "'{id, locked_at, locked_by, claim_token, finished_at}'::text[]"
# Anything else, also a column of a later release, leaves a row.
_TOLD = f"""
    to_jsonb(NEW) - {_NEXT_LOOK} - {_OF_ACTS} <> to_jsonb(OLD) - {_NEXT_LOOK} - {_OF_ACTS}
"""

# What a person did is judged once the row is there: so the trigger before an UPDATE completes it,
# and one after it gives the job its number and its row, in one statement. The number is behind all
# that the history has, so that any change by hand also mends a job whose number was wrong.
MANUAL_CHANGES = f"""
DROP TRIGGER write_manual_insert ON ifood_jobs;
DROP TRIGGER notice_manual_change ON ifood_jobs;
DROP FUNCTION ifood_notice_manual_insert, ifood_write_manual_change;

CREATE OR REPLACE FUNCTION ifood_notice_manual_change() RETURNS trigger LANGUAGE plpgsql
SECURITY INVOKER SET search_path FROM CURRENT AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NOT {_TOLD} THEN
      IF to_jsonb(NEW) - {_NEXT_LOOK} <> to_jsonb(OLD) - {_NEXT_LOOK} THEN
        RAISE EXCEPTION 'job %: id, lock, claim and end of a job change with an act only', OLD.id
          USING ERRCODE = 'integrity_constraint_violation';
      END IF;
      RETURN NEW;
    END IF;
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
    NEW.finished_at := CASE WHEN TG_OP = 'UPDATE' AND OLD.status = NEW.status
      THEN OLD.finished_at ELSE statement_timestamp() END;
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION ifood_write_manual_change() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NOT {_TOLD} THEN
      RETURN NULL;
    END IF;
  END IF;
  WITH job AS (
    UPDATE ifood_jobs SET event_no = 1 + greatest(event_no,
      (SELECT max(event_no) FROM ifood_job_events WHERE job_id = NEW.id))
    WHERE id = NEW.id RETURNING *)
  INSERT INTO ifood_job_events
    (job_id, event_no, at, act, from_status, to_status, attempt, actor, reason)
  SELECT id, event_no, statement_timestamp(), 'manual',
    CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, status, attempts, session_user,
    concat('SQL by hand, ', nullif(current_setting('application_name'), ''))
  FROM job;
  RETURN NULL;
END $$;

CREATE TRIGGER notice_manual_change BEFORE UPDATE ON ifood_jobs FOR EACH ROW
WHEN (NEW.event_no = OLD.event_no)
EXECUTE FUNCTION ifood_notice_manual_change();

CREATE TRIGGER write_manual_change AFTER UPDATE ON ifood_jobs FOR EACH ROW
WHEN (NEW.event_no = OLD.event_no)
EXECUTE FUNCTION ifood_write_manual_change();

CREATE TRIGGER write_manual_insert AFTER INSERT ON ifood_jobs FOR EACH ROW
WHEN (NEW.event_no = 0)
EXECUTE FUNCTION ifood_write_manual_change();
"""

# At depth 1 the statement is somebody's, deeper it is one of the triggers above. Sub-selects, here
# and below, and no joins: a plan is kept for the session, and a join that was planned for the 5,000
# rows of a run would read the whole history for the one of a claim.
NUMBERS = """
CREATE FUNCTION ifood_want_row() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  IF NEW.id <> OLD.id OR pg_trigger_depth() = 1 AND NEW.event_no <> OLD.event_no + 1
      OR NOT EXISTS (SELECT FROM ifood_job_events
        WHERE job_id = NEW.id AND event_no = NEW.event_no) THEN
    RAISE EXCEPTION 'job %: event_no grows by one, with a row in the history: not from % to %',
      OLD.id, OLD.event_no, NEW.event_no USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION ifood_want_first_rows() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  without uuid := (SELECT id FROM added WHERE event_no <> 0 AND coalesce((
    SELECT added.event_no <> 1 FROM ifood_job_events AS event
    WHERE event.job_id = added.id AND event.event_no = added.event_no), true) LIMIT 1);
BEGIN
  IF without IS NOT NULL THEN
    RAISE EXCEPTION 'job %: event_no begins with 1, with a row in the history, or with 0', without
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER each_number_has_its_row AFTER UPDATE ON ifood_jobs FOR EACH ROW
WHEN (NEW.event_no <> OLD.event_no)
EXECUTE FUNCTION ifood_want_row();

CREATE TRIGGER each_first_number_has_its_row AFTER INSERT ON ifood_jobs
REFERENCING NEW TABLE AS added FOR EACH STATEMENT
EXECUTE FUNCTION ifood_want_first_rows();
"""

# The row before it can be missing only where a history was forgotten, of a job that had ended.
# Whoever is a member of none of the three roles has the only login of all processes.
ROWS = """
CREATE FUNCTION ifood_judge_rows() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  wrong record;
BEGIN
  SELECT * INTO wrong FROM added WHERE NOT coalesce((
    SELECT added.event_no = job.event_no AND added.to_status = job.status
      AND added.attempt = job.attempts AND added.at = statement_timestamp()
      AND added.login = session_user
      AND CASE added.act
        WHEN 'manual' THEN pg_trigger_depth() > 1
        WHEN 'plan' THEN (added.event_no, added.to_status) = (1, 'pending')
          AND added.from_status IS NULL
        ELSE (added.act, added.from_status, added.to_status) IN (
          ('dispatch', 'pending', 'pending'), ('claim', 'pending', 'running'),
          ('succeed', 'running', 'success'), ('retry', 'running', 'pending'),
          ('snooze', 'running', 'pending'), ('snooze', 'pending', 'pending'),
          ('fail', 'running', 'failed'), ('rescue', 'running', 'pending'),
          ('rescue', 'running', 'failed'), ('cancel', 'pending', 'cancelled'),
          ('requeue', 'failed', 'pending'), ('requeue', 'cancelled', 'pending'))
          AND added.from_status = coalesce(
            (SELECT former.to_status FROM ifood_job_events AS former
              WHERE former.job_id = added.job_id AND former.event_no = added.event_no - 1),
            CASE added.act WHEN 'requeue' THEN added.from_status END)
      END
      AND (added.act = 'manual' OR coalesce(added.act = ANY (string_to_array((
        SELECT string_agg(acts, ' ') FROM (VALUES
          ('ifood_scheduler', 'plan dispatch rescue'),
          ('ifood_worker', 'claim succeed retry snooze fail cancel'),
          ('ifood_admin', 'plan cancel requeue')) AS duty(role, acts)
        WHERE pg_has_role(session_user, to_regrole(role), 'member')), ' ')), true))
    FROM ifood_jobs AS job WHERE job.id = added.job_id), false) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'job %: the history takes no row %, "%", of %', wrong.job_id, wrong.event_no,
      wrong.act, session_user USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER each_row_is_true AFTER INSERT ON ifood_job_events
REFERENCING NEW TABLE AS added FOR EACH STATEMENT
EXECUTE FUNCTION ifood_judge_rows();
"""

FORGETTING = """
DROP TRIGGER kept_for_90_days ON ifood_job_events;

CREATE OR REPLACE FUNCTION ifood_refuse_forgetting() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  IF EXISTS (SELECT FROM gone WHERE at >= statement_timestamp() - INTERVAL '90 days'
      OR coalesce((SELECT job.wake_at IS NOT NULL
          OR job.finished_at >= statement_timestamp() - INTERVAL '90 days'
        FROM ifood_jobs AS job WHERE job.id = gone.job_id), true)
      OR coalesce((SELECT true FROM ifood_job_events AS event
        WHERE event.job_id = gone.job_id LIMIT 1), false)) THEN
    RAISE EXCEPTION 'the history of jobs is append-only, until 90 days after their end, and then whole';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER kept_for_90_days AFTER DELETE ON ifood_job_events
REFERENCING OLD TABLE AS gone FOR EACH STATEMENT
EXECUTE FUNCTION ifood_refuse_forgetting();
"""


def upgrade() -> None:
    # The default comes after the column: nobody knows any more who wrote the rows that are there.
    op.add_column("ifood_job_events", sa.Column("login", sa.Text(), nullable=True))
    op.alter_column("ifood_job_events", "login", server_default=sa.text("session_user"))
    op.execute(MANUAL_CHANGES)
    op.execute(NUMBERS)
    op.execute(ROWS)
    op.execute(FORGETTING)
    op.execute("""
        REVOKE EXECUTE ON FUNCTION ifood_write_manual_change, ifood_want_row, ifood_want_first_rows,
          ifood_judge_rows FROM PUBLIC
    """)
