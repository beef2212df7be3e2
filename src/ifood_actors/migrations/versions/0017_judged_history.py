"""The history is judged where it is written, so that no login can forge, skip or lose a row."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# When a process looks at a job next is no act: every process may set it alone.
_NEXT_LOOK = "'{dispatched_at, lease_expires_at, wake_at, updated_at}'::text[]"
# Who holds a job, and when it ended, follows from acts: no process sets it alone.
_OF_ACTS = "'{locked_at, locked_by, claim_token, finished_at}'::text[]"
# Anything else, also a column of a later release, leaves a row.
_TOLD = f"""
    to_jsonb(NEW) - {_NEXT_LOOK} - {_OF_ACTS} <> to_jsonb(OLD) - {_NEXT_LOOK} - {_OF_ACTS}
"""
# What a job is, and not how far it has come: no act changes it.
_OF_NO_ACT = ", ".join(
    f"{{0}}.{column}"
    for column in (
        *("id", "job_type", "account_id", "merchant_id", "job_day", "scheduled_for", "created_at"),
        *("run_id", "priority", "period_start", "period_end"),
    )
)

# What a person did is judged once the row is there: so the trigger before an UPDATE completes it,
# and one after it gives the job its number and its row, in one statement. The number is behind all
# that the history has, so that any change by hand also corrects a job whose number was wrong. `at`
# is when the row is written, since nothing ends a person's statement after 60 seconds.
MANUAL_CHANGES = f"""
DROP TRIGGER write_manual_insert ON ifood_jobs;
DROP TRIGGER notice_manual_change ON ifood_jobs;
DROP FUNCTION ifood_notice_manual_insert, ifood_write_manual_change;

CREATE OR REPLACE FUNCTION ifood_notice_manual_change() RETURNS trigger LANGUAGE plpgsql
SECURITY INVOKER SET search_path FROM CURRENT AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    IF NEW.id <> OLD.id THEN
      RAISE EXCEPTION 'job %: its id never changes', OLD.id
        USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT {_TOLD} THEN
      IF to_jsonb(NEW) - {_NEXT_LOOK} <> to_jsonb(OLD) - {_NEXT_LOOK} THEN
        RAISE EXCEPTION 'job %: lock, claim and end of a job change with an act only', OLD.id
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
    (job_id, event_no, at, act, from_status, to_status, attempt, actor, reason, detail)
  SELECT id, event_no, clock_timestamp(), 'manual',
    CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END, status, attempts, session_user,
    concat('SQL by hand, ', nullif(current_setting('application_name'), '')),
    (SELECT jsonb_build_object('former', jsonb_object_agg(key, CASE
        WHEN length(value::text) <= 200 THEN value ELSE to_jsonb(left(value::text, 200)) END))
      FROM to_jsonb(NEW) AS changed,
        jsonb_each(to_jsonb(OLD) - {_NEXT_LOOK} - {_OF_ACTS} - 'status')
      WHERE changed -> key <> value HAVING count(*) > 0)
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

# A row is a number's own if the same transaction wrote both (`xmin`): an older one is what a deleted
# job has left.
# Sub-selects, here and below, and no joins: a plan is kept for the session, and a join that was
# planned for the 5,000 rows of a run would read the whole history for the one of a claim.
NUMBERS = f"""
CREATE FUNCTION ifood_want_row() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  written text := (SELECT act FROM ifood_job_events
    WHERE job_id = NEW.id AND event_no = NEW.event_no AND to_status = NEW.status
      AND attempt = NEW.attempts
      AND xmin = (SELECT job.xmin FROM ifood_jobs AS job WHERE job.id = NEW.id));
BEGIN
  IF written IS NULL OR NEW.event_no <= OLD.event_no
      OR written <> 'manual' AND NEW.event_no <> OLD.event_no + 1 THEN
    RAISE EXCEPTION 'job %: event_no grows by one, with a row in the history: not from % to %',
      OLD.id, OLD.event_no, NEW.event_no USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF ({_OF_NO_ACT.format("NEW")}) IS DISTINCT FROM ({_OF_NO_ACT.format("OLD")}) THEN
    RAISE EXCEPTION 'job %: no act changes what it is', OLD.id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION ifood_want_first_rows() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  without uuid := (SELECT id FROM added WHERE event_no <> 0 AND coalesce((
    SELECT added.event_no <> 1 FROM ifood_job_events AS event
    WHERE event.job_id = added.id AND event.event_no = added.event_no
      AND event.to_status = added.status AND event.attempt = added.attempts
      AND event.xmin = (SELECT job.xmin FROM ifood_jobs AS job WHERE job.id = added.id)),
    true) LIMIT 1);
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

# A row `manual` is the trigger's above, which works with its owner's rights: another login's
# trigger, as on a temporary table, is as deep but does not have these rights.
# The row before it can be missing only where a history was forgotten, of a job that had ended.
# The time of a statement is that of the client's message, which may hold more than an act; the
# sessions of all processes end a statement after 60 seconds.
# The owner of the tables may be the only login of all processes, and one of the roles in another
# database of the server; a login that is none of them has been given rights by hand.
ROWS = """
CREATE FUNCTION ifood_judge_manual_row() RETURNS trigger LANGUAGE plpgsql
SECURITY INVOKER SET search_path FROM CURRENT AS $$
BEGIN
  IF pg_trigger_depth() < 2 OR current_user <> (SELECT pg_get_userbyid(proowner) FROM pg_proc
      WHERE oid = 'ifood_write_manual_change()'::regprocedure) THEN
    RAISE EXCEPTION 'job %: a row "manual" is written by a trigger', NEW.job_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION ifood_judge_rows() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  wrong record;
BEGIN
  SELECT * INTO wrong FROM added WHERE NOT coalesce((
    SELECT added.event_no = job.event_no AND added.to_status = job.status
      AND added.attempt = job.attempts AND added.login = session_user
      AND (added.act = 'manual' OR added.at = statement_timestamp()
        AND added.at > clock_timestamp() - INTERVAL '5 minutes')
      AND CASE added.act
        WHEN 'manual' THEN true
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
          ('ifood_admin', 'plan cancel requeue'),
          ('ifood_admins', 'plan cancel requeue')) AS duty(role, acts)
        WHERE pg_has_role(session_user, to_regrole(role), 'member') AND NOT pg_has_role(
          session_user, (SELECT relowner FROM pg_class WHERE oid = TG_RELID), 'member')),
        ' ')), true))
    FROM ifood_jobs AS job WHERE job.id = added.job_id), false) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'job %: the history takes no row %, "%", of %', wrong.job_id, wrong.event_no,
      wrong.act, session_user USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;

CREATE TRIGGER judge_manual_row BEFORE INSERT ON ifood_job_events FOR EACH ROW
WHEN (NEW.act = 'manual')
EXECUTE FUNCTION ifood_judge_manual_row();

CREATE TRIGGER each_row_is_true AFTER INSERT ON ifood_job_events
REFERENCING NEW TABLE AS added FOR EACH STATEMENT
EXECUTE FUNCTION ifood_judge_rows();
"""

# A person who requeues such a job meanwhile did so before this looks, or waits until it is done.
FORGETTING = """
DROP TRIGGER kept_for_90_days ON ifood_job_events;

CREATE OR REPLACE FUNCTION ifood_refuse_forgetting() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM FROM ifood_jobs WHERE id = ANY (ARRAY(SELECT DISTINCT job_id FROM gone)) FOR SHARE;
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

BOUNDS = {
    "bounded": "length(actor) BETWEEN 1 AND 200 AND length(reason) <= 2000"
    " AND length(detail::text) <= 20000",
    "printable": "concat(actor, reason) !~ '[[:cntrl:]]'",
}


def upgrade() -> None:
    # The default comes after the column: it is not known who wrote the rows that are there.
    op.add_column("ifood_job_events", sa.Column("login", sa.Text(), nullable=True))
    op.alter_column("ifood_job_events", "login", server_default=sa.text("session_user"))
    # No look at the rows that are there: they may be many, and some may be worse.
    for name, condition in BOUNDS.items():
        op.create_check_constraint(
            op.f(f"ck_ifood_job_events_{name}"),
            "ifood_job_events",
            condition,
            postgresql_not_valid=True,
        )
    op.execute(MANUAL_CHANGES)
    op.execute(NUMBERS)
    op.execute(ROWS)
    op.execute(FORGETTING)
    op.execute("""
        REVOKE EXECUTE ON FUNCTION ifood_write_manual_change, ifood_want_row, ifood_want_first_rows,
          ifood_judge_manual_row, ifood_judge_rows FROM PUBLIC
    """)
