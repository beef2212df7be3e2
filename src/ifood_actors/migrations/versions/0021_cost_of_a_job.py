"""What a job costs: a fence that raises, and less to read and to compare for each act."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# A statement of a round trip that must not be followed by its COMMIT fails.
FENCE = """
CREATE FUNCTION ifood_lease_lost(job_id uuid) RETURNS uuid LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  RAISE EXCEPTION 'job % is no longer held', job_id USING ERRCODE = 'IF001';
END $$;
"""

# As in 0019, in fewer nodes: Postgres reads the conditions again for every statement.
_FIRST, _LAST = "'2000-01-01 00:00+00'", "'2200-01-01 00:00+00'"


def _each(columns: str, least: str, most: str) -> str:
    return f"least({columns}) >= {least} AND greatest({columns}) <= {most}"


COUNTS = _each("attempts, dispatch_no, lease_no, event_no", "0", "1000000")
INSTANTS = " AND ".join(
    [
        _each(
            "scheduled_for, next_retry_at, wake_at, lease_expires_at, dispatched_at, locked_at,"
            " finished_at, created_at, updated_at",
            _FIRST,
            _LAST,
        ),
        _each("job_day, period_start, period_end", "'2000-01-01'", "'2200-01-01'"),
    ]
)

# The checks of 0017, and in the same words who may do what. Cheap for the one row of a claim or a
# success: an arrow is one text among others, and the role that most often does an act comes first.
# In a function of the owner's, `current_user` is the owner.
ROWS = """
CREATE FUNCTION ifood_may_act(act text) RETURNS boolean LANGUAGE plpgsql STABLE
SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  RETURN coalesce(act = ANY (string_to_array((
    SELECT string_agg(acts, ' ') FROM (VALUES
      ('ifood_scheduler', 'plan dispatch rescue'),
      ('ifood_worker', 'claim succeed retry snooze fail cancel'),
      ('ifood_admin', 'plan cancel requeue'),
      ('ifood_admins', 'plan cancel requeue')) AS duty(role, acts)
    WHERE pg_has_role(session_user, to_regrole(role), 'member')),
    ' ')), true);
END $$;

CREATE OR REPLACE FUNCTION ifood_judge_rows() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  wrong record;
BEGIN
  SELECT * INTO wrong FROM added WHERE NOT coalesce((
    SELECT added.event_no = job.event_no AND added.to_status = job.status
      AND added.attempt = job.attempts AND added.login = session_user
      AND CASE added.act
        WHEN 'manual' THEN true
        WHEN 'plan' THEN added.event_no = 1 AND added.to_status = 'pending'
          AND added.from_status IS NULL
        ELSE concat_ws(' ', added.act, added.from_status, added.to_status) = ANY (ARRAY[
            'dispatch pending pending', 'claim pending running', 'succeed running success',
            'retry running pending', 'snooze running pending', 'snooze pending pending',
            'fail running failed', 'rescue running pending', 'rescue running failed',
            'cancel pending cancelled', 'requeue failed pending', 'requeue cancelled pending'])
          AND added.from_status = coalesce(
            (SELECT former.to_status FROM ifood_job_events AS former
              WHERE former.job_id = added.job_id AND former.event_no = added.event_no - 1),
            CASE added.act WHEN 'requeue' THEN added.from_status END)
      END
      AND (added.act = 'manual' OR added.at = statement_timestamp()
        AND added.at > clock_timestamp() - INTERVAL '5 minutes'
        AND (pg_has_role(session_user, current_user, 'member') OR ifood_may_act(added.act)))
    FROM ifood_jobs AS job WHERE job.id = added.job_id), false) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'job %: the history takes no row %, "%", of %', wrong.job_id, wrong.event_no,
      wrong.act, session_user USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$;

REVOKE EXECUTE ON FUNCTION ifood_may_act FROM PUBLIC;
"""


def upgrade() -> None:
    op.execute(FENCE)
    op.execute(ROWS)
    for name, condition in (("counts", COUNTS), ("instants", INSTANTS)):
        constraint = op.f(f"ck_ifood_jobs_{name}")
        op.drop_constraint(constraint, "ifood_jobs")
        op.create_check_constraint(
            constraint, "ifood_jobs", condition, postgresql_not_valid=True
        )
