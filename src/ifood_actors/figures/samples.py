"""
What the rules ask: one small question each, to Postgres or to RabbitMQ.

A question gives rows `subject, value` and whatever else the rule's text shows. Each reads by an
index, or a table of few rows: they are asked every minute.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, text

from ifood_actors.broker.queues import QueueState
from ifood_actors.broker.topology import UNROUTABLE, dead_letter_name
from ifood_actors.config import Settings
from ifood_actors.errors import RightMissing, ServiceUnavailable
from ifood_actors.figures.evaluation import ALL, Sample
from ifood_actors.ifood.thresholds import (
    BREAKER_OPENS_AFTER,
    PAUSE_AFTER_REFUSAL,
    REFUSED_IN_A_ROW,
    REFUSED_TWICE,
    UNREADABLE,
)
from ifood_actors.kinds import KINDS, queue_name
from ifood_actors.ledger import JobStatus
from ifood_actors.ledger.queries.conditions import (
    AT_ODDS,
    FIRST_DUE,
    HISTORY_BYTES,
    IS_INCOMPLETE,
    IS_OF_A_DAY,
    IS_STALE,
    LOST_MESSAGES,
    REJECTED,
    RUNNING_SINCE,
    VANISHED,
    WITHOUT_RUN,
)
from ifood_actors.planning.planner import latest_openings, patience

Rabbit = Sequence[QueueState] | ServiceUnavailable | None
"""What RabbitMQ said of its queues, or why it said nothing; None where there is none to ask."""

_OF_A_DAY = f"FROM ifood_jobs AS job WHERE job_type = ANY(:kinds) AND {IS_OF_A_DAY}"

SQL: Final = {
    # A run that has just been planned has more pending jobs than any limit, and nothing is wrong.
    "JobsPending": f"""
        SELECT '{ALL}' AS subject, count(*) AS value FROM ifood_jobs AS job
        WHERE job_type = ANY(:kinds) AND status = 'pending'
        HAVING {FIRST_DUE} < now() - INTERVAL '1 minute'
    """,
    "JobsFailed": f"""
        SELECT '{ALL}' AS subject, count(*) FILTER (WHERE status = 'failed') AS value {_OF_A_DAY}
    """,
    "FailureRate": f"""
        SELECT job_type AS subject, count(*) FILTER (WHERE status = 'failed') AS failed,
          count(*) AS jobs,
          count(*) FILTER (WHERE status = 'failed')::float8 / count(*) AS value
        {_OF_A_DAY} GROUP BY job_type
    """,
    # Of 20 jobs or fewer, the ones that run or wait for another attempt are already a share. Those
    # behind may be of the days before, and more than were planned in this one, which may be none.
    "RunBehind": f"""
        SELECT job_type AS subject, behind, behind::float8 / greatest(jobs, behind) AS value FROM (
          SELECT job_type, count(*) AS behind FROM ifood_jobs
          WHERE job_type = ANY(:kinds) AND status IN ('pending', 'running')
            AND scheduled_for <= now()
          GROUP BY job_type HAVING count(*) > 20) AS late
        LEFT JOIN (SELECT job_type, count(*) AS jobs {_OF_A_DAY} GROUP BY job_type) AS day
          USING (job_type)
    """,
    "JobOverdue": f"""
        SELECT job_type AS subject, 'the slot of a pending job passed' AS what,
          extract(epoch FROM now() - {FIRST_DUE})::float8 AS value
        FROM ifood_jobs AS job WHERE job_type = ANY(:kinds) AND status = 'pending'
        GROUP BY job_type HAVING {FIRST_DUE} IS NOT NULL
        UNION ALL
        SELECT kind, 'a running job, which nobody took back, was claimed',
          extract(epoch FROM now() - {RUNNING_SINCE})::float8
        FROM unnest(CAST(:kinds AS text[])) AS feed(kind) WHERE {RUNNING_SINCE} IS NOT NULL
        ORDER BY value
    """,
    "WindowWithoutRun": f"""
        SELECT kind AS subject, day, extract(epoch FROM now() - at)::float8 AS value
        FROM {WITHOUT_RUN} AS opening
    """,
    # What a scheduler itself is denied, it adds.
    "RightMissing": f"""
        SELECT 'worker' AS subject, count(*) AS value, min(last_error) AS reason
        {_OF_A_DAY} AND status = 'failed' AND error_code = '{RightMissing.code}'
    """,
    # A host that is gone for good is forgotten after a day; no host at all counts as one.
    "SchedulerSilent": f"""
        SELECT host AS subject, extract(epoch FROM now() - seen_at)::float8 AS value
        FROM ifood_schedulers WHERE stopped_at IS NULL AND seen_at > now() - INTERVAL '1 day'
        UNION ALL
        SELECT '{ALL}', coalesce(extract(epoch FROM now() - max(seen_at))::float8, 86400)
        FROM ifood_schedulers
    """,
    "MessagesLost": f"""
        SELECT '{ALL}' AS subject, {LOST_MESSAGES} AS value
    """,
    "HistoryAtOdds": f"""
        SELECT '{ALL}' AS subject, count(*) AS value,
          array_to_string((array_agg(job.id ORDER BY job.wake_at))[1:3], ', ') AS jobs
        FROM {AT_ODDS} AS job
    """,
    "AuthorizationExpiring": """
        SELECT app.name || ', ' || held.name AS subject,
          extract(epoch FROM held.refresh_expires_at - now())::float8 AS value
        FROM ifood_authorizations AS held JOIN ifood_apps AS app ON app.id = held.app_id
        WHERE held.refresh_expires_at IS NOT NULL AND held.needs_authorization_since IS NULL
        ORDER BY value LIMIT 100
    """,
    # The first refusal decides nothing, and nobody can do anything about it.
    "AuthorizationRefused": f"""
        SELECT app.name || ', ' || held.name AS subject,
          extract(epoch FROM now() - coalesce(held.needs_authorization_since, held.refused_since)
            )::float8 AS value,
          coalesce(held.refused_reason, 'the owner has to authorize anew') AS reason
        FROM ifood_authorizations AS held JOIN ifood_apps AS app ON app.id = held.app_id
        WHERE held.needs_authorization_since IS NOT NULL OR {REFUSED_TWICE}
        ORDER BY value DESC LIMIT 100
    """,
    "ApplicationRefused": f"""
        SELECT app.name AS subject, together.value, together.reason FROM ifood_apps AS app,
          LATERAL (SELECT count(*) AS value, min(refused.refused_reason) AS reason
            {REFUSED_IN_A_ROW}) AS together
    """,
    "SecretsUnreadable": f"""
        SELECT unreadable_by AS subject, count(*) AS value
        FROM ifood_authorizations WHERE {UNREADABLE} GROUP BY unreadable_by
    """,
    # Of fewer than 20 requests, one 429 would already be a share. One without a body has no text.
    "Throttled": f"""
        SELECT '{ALL}' AS subject, throttled / (throttled + answered)::float8 AS value FROM (
          SELECT count(*) FILTER (WHERE act = 'snooze' AND reason ~ '^429( |$)') AS throttled,
            coalesce(sum((detail ->> 'requests')::int) FILTER (WHERE act = 'succeed'), 0)
              AS answered
          FROM ifood_job_events WHERE at > now() - INTERVAL '15 minutes') AS requests
        WHERE throttled + answered >= 20
    """,
    "BreakerOpen": """
        SELECT app.name AS subject, max(held.failures) AS value
        FROM ifood_limits AS held JOIN ifood_apps AS app ON app.id = held.app_id GROUP BY app.name
    """,
    "ApplicationBlocked": f"""
        SELECT app.name AS subject,
          extract(epoch FROM now() - min(held.closed_at))::float8 AS value,
          min(held.blocked_by) AS reason
        FROM ifood_limits AS held JOIN ifood_apps AS app ON app.id = held.app_id
        WHERE held.blocked_by IS NOT NULL AND held.failures >= {BREAKER_OPENS_AFTER}
        GROUP BY app.name
    """,
    "AccountsStale": f"""
        SELECT kind AS subject, count(*) AS value,
          array_to_string((array_agg(account.name ORDER BY account.name))[1:3], ', ') AS accounts
        FROM unnest(CAST(:kinds AS text[]), CAST(:patience AS interval[])) AS feed(kind, patience)
        JOIN accounts AS account ON {IS_STALE}
        GROUP BY kind
    """,
    "RowsVanished": f"""
        SELECT kind AS subject, stores AS value, job_day AS day, rows FROM {VANISHED} AS run
    """,
    # Of fewer than 20 requests, those of two stores would already be a share.
    "RequestsWasted": f"""
        SELECT '{ALL}' AS subject, wasted, requests, wasted / requests::float8 AS value FROM (
          SELECT coalesce(sum((result ->> 'wasted')::int), 0) AS wasted,
            coalesce(sum((result ->> 'requests')::int), 0) AS requests
          {_OF_A_DAY}) AS sent
        WHERE requests >= 20
    """,
    "ItemsRejected": f"""
        SELECT feed.kind AS subject, count(*) AS value, count(DISTINCT item.merchant_id) AS stores
        FROM unnest(CAST(:kinds AS text[]), CAST(:patience AS interval[])) AS feed(kind, patience)
        JOIN {REJECTED}
        GROUP BY feed.kind
    """,
    "PullsIncomplete": f"""
        SELECT kind AS subject, count(*) AS value,
          array_to_string((array_agg(account.name ORDER BY account.name))[1:3], ', ') AS accounts
        FROM unnest(CAST(:kinds AS text[]), CAST(:patience AS interval[])) AS feed(kind, patience)
        JOIN accounts AS account ON {IS_INCOMPLETE}
        GROUP BY kind
    """,
    "HistoryLarge": f"SELECT '{ALL}' AS subject, {HISTORY_BYTES} AS value",
}
# Every look answers it itself.
RULE_FAILED: Final = "RuleFailed"
ON_THE_BROKER: Final = ("NoWorker", "DeadLetters", "UnroutableOrders", "RabbitUnusable")


def ask_postgres(connection: Connection, name: str, settings: Settings) -> list[Sample]:
    """Ask the question of the rule `name`."""
    statement = text(SQL[name])
    bound = {key: value for key, value in _values(settings).items() if f":{key}" in SQL[name]}
    return [_reading(dict(row)) for row in connection.execute(statement, bound).mappings()]


def queue_names() -> list[str]:
    """Name the queues that the rules look at."""
    work = [queue_name(kind) for kind in KINDS]
    return [*work, *map(dead_letter_name, work), UNROUTABLE]


def can_be_asked(name: str, rabbit: Rabbit) -> bool:
    """Tell whether what RabbitMQ said, or that it refused, answers the question of a rule."""
    if name not in ON_THE_BROKER:
        return True
    return rabbit is not None and (name == "RabbitUnusable" or not isinstance(rabbit, Exception))


def ask_rabbit(rabbit: Rabbit, name: str) -> list[Sample]:
    """Answer the question of the rule `name` from what RabbitMQ said of `queue_names`."""
    if rabbit is None or isinstance(rabbit, Exception):
        return [Sample(ALL, 1, {"reason": str(rabbit)})]
    return _ask_queues(rabbit, name)


def _ask_queues(queues: Sequence[QueueState], name: str) -> list[Sample]:
    match name:
        case "RabbitUnusable":
            return []
        case "NoWorker":
            work = {queue_name(kind) for kind in KINDS}
            return [
                Sample(queue.name, queue.consumers, {"ready": f"{queue.ready:,}"})
                for queue in queues
                if queue.name in work
            ]
        case "DeadLetters":
            return _ready(queue for queue in queues if queue.name.endswith(dead_letter_name("")))
        case _:
            return _ready(queue for queue in queues if queue.name == UNROUTABLE)


def _ready(queues: Iterable[QueueState]) -> list[Sample]:
    return [Sample(queue.name, queue.ready) for queue in queues]


def _reading(row: dict[str, object]) -> Sample:
    subject, value = str(row.pop("subject")), row.pop("value")
    return Sample(subject, float(str(value)), row)


def _values(settings: Settings) -> dict[str, object]:
    allowed = patience(settings)
    return {
        "kinds": list(allowed),
        "statuses": [status.value for status in JobStatus],
        "patience": list(allowed.values()),
        **latest_openings(settings, at=datetime.now(UTC)),
        "pause": PAUSE_AFTER_REFUSAL,
    }
