"""
The SQL of the acts: each changes jobs and writes one history row for each, in one statement.

Every instant is the database's own: `statement_timestamp()` is the start of the statement, and so
after any lock that an earlier statement waited for. From which statuses an act starts and to which
it leads, `states.TRANSITIONS` says.
"""

from dataclasses import dataclass

from sqlalchemy import TextClause, text

from ifood_actors.ledger.bounds import IN_BOUNDS
from ifood_actors.ledger.states import TRANSITIONS, Act, JobStatus
from ifood_actors.plain_text import one_line

# What a person reads of an error; more would only swell the row.
_REASON_LENGTH = 500


@dataclass(frozen=True, slots=True)
class ActStatement:
    """The statement of one act; it binds what the history wants, and what its changes name."""

    act: Act
    sql: TextClause

    def bound(self, actor: str, **values: object) -> dict[str, object]:
        """Give all that it binds: its own `values`, among which may be a reason and a detail."""
        bound = {"reason": None, "detail": None, **values}
        return bound | {"act": str(self.act), "actor": actor, "reason": _line(bound["reason"])}


def _line(reason: object) -> str | None:
    # A line break would let an answer forge a second line; the table takes no control character.
    return None if reason is None else one_line(str(reason).replace("\0", ""), most=_REASON_LENGTH)


def _act(
    transition: str,
    changes: str,
    *,
    which: str = "id = :id",
    asked: str | None = None,
    detail: str = "CAST(:detail AS jsonb)",
    answer: str = "SELECT job_id FROM written",
) -> ActStatement:
    """
    Change the jobs `which` (SQL) that are in a status of the transition's, and their status.

    `asked` has a row for each of several jobs: `which` compares with it, and `changes` finds its
    columns in `before`. A job that another transaction has locked is then left out, so that the
    others do not wait. `detail` is SQL on a job, `answer` on the jobs and what was `written`.
    """
    arrow = TRANSITIONS[transition]
    before = f"SELECT id, status FROM ifood_jobs WHERE {which} AND {arrow.guard} FOR UPDATE"
    if asked is not None:
        # One by one, by key: Postgres keeps the plan, and might read all that have the status.
        before = f"SELECT * FROM {asked}, LATERAL ({before} SKIP LOCKED) AS locked"
    return ActStatement(
        arrow.act,
        text(f"""
        WITH before AS ({before}),
        job AS (
          UPDATE ifood_jobs SET status = '{arrow.target}', {changes}, event_no = event_no + 1,
            updated_at = statement_timestamp()
          FROM before WHERE ifood_jobs.id = before.id
          RETURNING ifood_jobs.*, before.status AS from_status),
        written AS (
          INSERT INTO ifood_job_events
            (job_id, event_no, at, act, from_status, to_status, attempt, actor, reason, detail)
          SELECT id, event_no, statement_timestamp(), :act, from_status, status, attempts, :actor,
            CAST(:reason AS text), {detail}
          FROM job RETURNING job_id)
        {answer}
    """),
    )


def _settling(transition: str, changes: str) -> ActStatement:
    """
    End the claim that a fence names, by its holder.

    A lost fence fails the statement, so that Postgres skips the COMMIT that is sent with it.
    """
    answer = "SELECT coalesce((SELECT job_id FROM written), ifood_lease_lost(:id)) AS job_id"
    return _act(transition, changes, which=_FENCED, answer=answer)


LEASE_LOST = "IF001"  # what `ifood_lease_lost` raises
_UNLOCKED = "locked_at = NULL, locked_by = NULL, claim_token = NULL, lease_expires_at = NULL"
_WAITING = f"dispatched_at = NULL, {_UNLOCKED}"
_FINISHED = (
    f"{_UNLOCKED}, wake_at = NULL, next_retry_at = NULL, finished_at = statement_timestamp()"
)
# The number tells old holders from new ones; the token does when a number is given out twice: a
# fail-over, or a crash without synchronous commits, loses the last claims and their numbers.
_FENCED = "id = :id AND lease_no = :lease_no AND claim_token = :claim_token"
_EACH = "id = ANY(:ids)"
_LATER = "statement_timestamp() + CAST(:after AS interval)"
# Not before this instant: the wait that was decided, else the slot.
DUE_AT = "coalesce(next_retry_at, scheduled_for)"
_AWAITED = f"{TRANSITIONS['claim'].guard} AND dispatched_at IS NOT NULL AND dispatch_no ="
# What a holder knows of its job, of a `job` and its `account`.
_CLAIMED = """
    job.id, job.job_type AS kind, job.account_id, job.merchant_id, account.app_id,
    account.authorization_id, account.timezone, job.job_day, job.period_start, job.period_end,
    job.attempts, job.lease_no, job.claim_token,
    greatest(clock_timestamp() - job.scheduled_for, INTERVAL '0') AS late
"""

# By primary key alone, so that it waits for an uncommitted dispatch: a guarded UPDATE would not see
# that row, match nothing, and the delivery would be acknowledged and lost.
LOCK = text(f"""
    SELECT {_CLAIMED}, account.active,
      {_AWAITED} :dispatch_no AS awaited,
      {DUE_AT} > clock_timestamp() AS early,
      job.dispatched_at < {DUE_AT} AS sent_ahead
    FROM ifood_jobs AS job JOIN accounts AS account ON account.id = job.account_id
    WHERE job.id = :id FOR UPDATE OF job
""")
WAIT = text("SELECT FROM ifood_jobs WHERE id = :id FOR UPDATE")
# Its message is under way for longer: the search for lost messages must not count it yet.
PUT_OFF = text("""
    UPDATE ifood_jobs SET dispatched_at = statement_timestamp() + :after, wake_at = wake_at + :after
    WHERE id = :id
""")
HAND_BACK = text("""
    UPDATE ifood_jobs SET dispatched_at = NULL, wake_at = statement_timestamp() WHERE id = :id
""")
# Not through the ladder, which has not held the message back: perhaps there is none.
SEND_WHEN_DUE = text(f"""
    UPDATE ifood_jobs SET wake_at = {DUE_AT} WHERE id = :id
""")
# As if it had not been sent: else it would be missed, and sent again and again.
PARK = text("""
    UPDATE ifood_jobs SET dispatched_at = NULL, wake_at = statement_timestamp() + :after
    WHERE id = :id AND wake_at IS NOT NULL
""")
# What `LOCK` says, once more: both are sent together, for one job. For several it goes alone: a job
# that is being dispatched does not match, or is locked, and who asked for it asks again, with both.
CLAIM = _act(
    "claim",
    f"""
    attempts = attempts + 1, lease_no = lease_no + 1,
    claim_token = before.token, locked_by = :actor, locked_at = statement_timestamp(),
    next_retry_at = NULL,
    lease_expires_at = {_LATER}, wake_at = {_LATER}
    """,
    which=f"""
    id = asked.job_id AND {_AWAITED} asked.number AND {DUE_AT} <= statement_timestamp()
    AND (SELECT active FROM accounts WHERE accounts.id = account_id)
    """,
    asked="""
    unnest(CAST(:ids AS uuid[]), CAST(:dispatch_nos AS int[]), CAST(:claim_tokens AS uuid[]))
      AS asked(job_id, number, token)
    """,
    detail="jsonb_build_object('slot', scheduled_for)",
    answer=f"""
    SELECT {_CLAIMED} FROM job JOIN accounts AS account ON account.id = job.account_id
    """,
)
RENEW = text(f"""
    UPDATE ifood_jobs SET lease_expires_at = {_LATER}, wake_at = {_LATER}
    FROM unnest(CAST(:ids AS uuid[]), CAST(:lease_nos AS int[]), CAST(:claim_tokens AS uuid[]))
      AS held(id, lease_no, claim_token)
    WHERE ifood_jobs.id = held.id AND ifood_jobs.status = '{JobStatus.RUNNING}'
      AND ifood_jobs.lease_no = held.lease_no AND ifood_jobs.claim_token = held.claim_token
    RETURNING ifood_jobs.claim_token
""")
SUCCEED = _settling(
    "succeed",
    f"{_FINISHED}, last_error = NULL, error_code = NULL, result = CAST(:detail AS jsonb)",
)
FAIL = _settling("fail", f"{_FINISHED}, last_error = :reason, error_code = :error_code")
RETRY = _settling(
    "retry",
    f"{_WAITING}, next_retry_at = {_LATER}, wake_at = statement_timestamp(),"
    " last_error = :reason, error_code = :error_code",
)
SNOOZE = _settling(
    "snooze",
    f"{_WAITING}, next_retry_at = {_LATER}, wake_at = statement_timestamp(),"
    " attempts = greatest(attempts - 1, 0)",
)
SNOOZE_UNCLAIMED = _act(
    "snooze_unclaimed", f"{_WAITING}, next_retry_at = {_LATER}, wake_at = {_LATER}"
)
CANCEL = _act("cancel", _FINISHED, which=_EACH)
REQUEUE = _act(
    "requeue",
    f"{_WAITING}, attempts = 0, next_retry_at = NULL, finished_at = NULL,"
    " wake_at = statement_timestamp()",
    which=_EACH,
)
# A kind that this release does not know is left to the release that planned it. A job whose
# `wake_at` comes long before its grace is over is `missed`: its message was lost, or came early.
# A row out of bounds would fail the arithmetic of all: the alert `HistoryAtOdds` reports it.
_DUE = f"""
    SELECT id, job_type AS kind, status, attempts, dispatch_no, dispatched_at IS NOT NULL AS resend,
      dispatched_at IS NOT NULL AND wake_at < interval '1 minute'
        + greatest({DUE_AT}, dispatched_at) AS missed,
      {DUE_AT} - statement_timestamp() AS due_in,
      (SELECT app_id FROM accounts WHERE accounts.id = account_id) AS app_id
    FROM ifood_jobs WHERE wake_at <= statement_timestamp() AND job_type = ANY(:kinds)
      AND {IN_BOUNDS}
"""
_BY_APP = "account_id IN (SELECT id FROM accounts WHERE app_id = ANY(CAST(:apps AS uuid[])))"
# The sub-select is not even started when no application is excluded.
DUE = text(f"""
    {_DUE} AND (cardinality(CAST(:apps AS uuid[])) = 0 OR status = 'running' OR NOT {_BY_APP})
    ORDER BY priority DESC, scheduled_for LIMIT :limit FOR UPDATE SKIP LOCKED
""")
# Least recently woken first, so that a job which iFood always fails at is not the only one to try.
PROBE = text(f"""
    {_DUE} AND status = 'pending' AND {_BY_APP}
      AND {DUE_AT} <= statement_timestamp()
    ORDER BY wake_at, priority DESC, scheduled_for LIMIT 1 FOR UPDATE SKIP LOCKED
""")
DISPATCH = _act(
    "dispatch",
    f"""
    dispatch_no = dispatch_no + CASE WHEN dispatched_at IS NULL THEN 1 ELSE 0 END,
    dispatched_at = statement_timestamp(),
    wake_at = greatest({DUE_AT}, statement_timestamp()) + greatest(
      CAST(:grace AS interval),
      CASE WHEN dispatched_at IS NOT NULL THEN least(12 * CAST(:grace AS interval),
        statement_timestamp() - {DUE_AT}) END)
    """,
    which=_EACH,
)
# What the relay handed over and a worker has not done yet. A job in the ladder is not due; one
# that is overdue counts as lost. No `wake_at` of these is further ahead than the longest grace.
UNDER_WAY = text(f"""
    SELECT account.app_id, job.job_type AS kind, count(*) AS jobs
    FROM ifood_jobs AS job JOIN accounts AS account ON account.id = job.account_id
    WHERE job.wake_at > statement_timestamp() AND job.wake_at <= statement_timestamp() + :within
      AND account.app_id IS NOT NULL AND (job.status = 'running'
        OR job.status = 'pending' AND job.dispatched_at IS NOT NULL
        AND {DUE_AT} <= statement_timestamp())
    GROUP BY account.app_id, job.job_type
""")
HOLD = text(f"""
    UPDATE ifood_jobs SET wake_at = {DUE_AT} - :horizon
    WHERE id = ANY(:ids)
""")
RESCUE = _act(
    "rescue",
    f"""
    {_WAITING}, wake_at = statement_timestamp(),
    next_retry_at = CASE WHEN CAST(:jitter AS interval) > interval '0'
      THEN statement_timestamp()
        + CAST(:jitter AS interval) * random() * power(2, least(attempts - 1, 6)) END,
    last_error = :reason, error_code = 'lease_expired'
    """,
    which=_EACH,
)
RESCUE_AS_FAILED = _act(
    "rescue_as_failed",
    f"{_FINISHED}, last_error = :reason, error_code = 'lease_expired'",
    which=_EACH,
)
START_RUN = text("""
    INSERT INTO ifood_runs AS run (id, job_type, job_day, window_start, window_end, batch_size,
      complete, created_by)
    VALUES (gen_random_uuid(), :kind, :job_day, :window_start, :window_end, :batch_size,
      :complete, :actor)
    ON CONFLICT (job_type, job_day) DO UPDATE
    SET complete = run.complete OR excluded.complete,
      created_by = CASE WHEN run.complete THEN run.created_by ELSE excluded.created_by END,
      window_end = greatest(run.window_end, excluded.window_end)
    RETURNING id
""")
COUNT_PLANNED = text("UPDATE ifood_runs SET planned = planned + :planned WHERE id = :id")
# No login may insert a status: the target is the default of the column.
_PLANNED = TRANSITIONS["plan"]
PLAN = text(f"""
    WITH job AS (
      INSERT INTO ifood_jobs (job_type, account_id, merchant_id, job_day, scheduled_for, priority,
        run_id, period_start, period_end, wake_at, event_no)
      SELECT :kind, account_id, merchant_id, :job_day, slot, priority, :run_id, :period_start,
        :period_end, greatest(slot - :horizon, statement_timestamp()), 1
      FROM unnest(CAST(:account_ids AS uuid[]), CAST(:merchant_ids AS text[]),
        CAST(:priorities AS int[]), CAST(:slots AS timestamptz[]))
        AS account(account_id, merchant_id, priority, slot)
      ON CONFLICT (job_type, account_id, merchant_id, job_day) DO NOTHING
      RETURNING id)
    INSERT INTO ifood_job_events (job_id, event_no, at, act, to_status, attempt, actor)
    SELECT id, 1, statement_timestamp(), '{_PLANNED.act}', '{_PLANNED.target}', 0, :actor
    FROM job RETURNING job_id
""")
