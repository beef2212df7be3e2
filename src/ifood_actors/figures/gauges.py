"""
The gauges that are read from the ledger: what each is called, what it means, and its statement.

A statement gives one row for each set of labels; its other columns are the gauges, by their names.
Each reads by an index that keeps it quick however old the ledger is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ifood_actors.config import Settings
from ifood_actors.ifood.thresholds import (
    BREAKER_OPENS_AFTER,
    PAUSE_AFTER_REFUSAL,
    REFUSED_IN_A_ROW,
    REFUSED_TWICE,
    UNREADABLE,
)
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
from ifood_actors.renewal.policy import EXPIRING


@dataclass(frozen=True)
class Gauges:
    """Gauges that are read together, at most every `every`; their `meanings` by name."""

    labels: tuple[str, ...]
    meanings: Mapping[str, str]
    statement: str
    every: timedelta = timedelta(0)


_SELDOM = timedelta(minutes=1)

JOBS = Gauges(
    labels=("kind", "status"),
    meanings={"ifood_jobs": "Jobs by kind and status; of success, only those of the last 7 days."},
    statement="""
        SELECT wanted.kind, wanted.status, coalesce(found.jobs, 0) AS ifood_jobs
        FROM (
          SELECT kind, status FROM unnest(CAST(:kinds AS text[])) AS kind
          CROSS JOIN unnest(CAST(:statuses AS text[])) AS status
        ) AS wanted
        LEFT JOIN (
          SELECT job_type, status, count(*) AS jobs FROM ifood_jobs
          WHERE job_type = ANY(:kinds) AND status IN ('pending', 'running', 'failed', 'cancelled')
          GROUP BY 1, 2
          UNION ALL
          SELECT job_type, status, count(*) FROM ifood_jobs
          WHERE job_type = ANY(:kinds) AND status = 'success'
            AND scheduled_for > now() - INTERVAL '7 days'
          GROUP BY 1, 2
        ) AS found(kind, status, jobs) USING (kind, status)
    """,
)
DUE = Gauges(
    labels=("kind",),
    meanings={
        "ifood_oldest_due_seconds": "Time since the earliest slot of a pending job that is due.",
        "ifood_longest_running_seconds": "Time since the claim of the job that runs longest.",
        "ifood_run_behind_jobs": "Jobs whose slot has passed and that have not ended.",
    },
    statement=f"""
        SELECT kind, count(job.id) AS ifood_run_behind_jobs,
          coalesce(extract(epoch FROM now() - {FIRST_DUE}), 0) AS ifood_oldest_due_seconds,
          coalesce(extract(epoch FROM now() - {RUNNING_SINCE}), 0) AS ifood_longest_running_seconds
        FROM unnest(CAST(:kinds AS text[])) AS feed(kind)
        LEFT JOIN ifood_jobs AS job ON job.job_type = kind
          AND job.status IN ('pending', 'running') AND job.scheduled_for <= now()
        GROUP BY kind
    """,
)
RUNS = Gauges(
    labels=("kind",),
    meanings={
        "ifood_run_planned": "Jobs of the kind's latest run.",
        "ifood_run_done": "Those of them that have ended, however they did.",
    },
    statement="""
        SELECT run.job_type AS kind, run.planned AS ifood_run_planned, (
          SELECT count(*) FROM ifood_jobs AS job
          WHERE job.run_id = run.id AND job.status IN ('success', 'failed', 'cancelled')
        ) AS ifood_run_done
        FROM (
          SELECT DISTINCT ON (job_type) id, job_type, planned FROM ifood_runs
          WHERE job_type = ANY(:kinds) AND window_start <= now()
          ORDER BY job_type, window_start DESC
        ) AS run
    """,
)
UNPLANNED = Gauges(
    labels=("kind",),
    meanings={
        "ifood_window_without_run_seconds": "Time since the kind's latest window has opened, if "
        "its run was not planned, else 0."
    },
    statement=f"""
        SELECT kind, coalesce(extract(epoch FROM now() - at), 0) AS ifood_window_without_run_seconds
        FROM unnest(CAST(:kinds AS text[])) AS kind LEFT JOIN {WITHOUT_RUN} AS opening USING (kind)
    """,
)
HEARTBEAT = Gauges(
    labels=(),
    meanings={"ifood_scheduler_heartbeat_timestamp_seconds": "Last sign of life of any scheduler."},
    statement="""
        SELECT extract(epoch FROM max(seen_at)) AS ifood_scheduler_heartbeat_timestamp_seconds
        FROM ifood_schedulers
    """,
)
BREAKERS = Gauges(
    labels=("app",),
    meanings={
        "ifood_breaker_open": "1 while iFood fails and only probes are sent.",
        "ifood_application_blocked": "1 while a gateway refuses those, too.",
        "ifood_authorizations_refused_in_a_row": "Authorizations that iFood has refused since it "
        "granted one.",
    },
    statement=f"""
        SELECT app.name AS app,
          coalesce(max((used.failures >= :opens_after)::int), 0) AS ifood_breaker_open,
          coalesce(max((used.failures >= :opens_after AND used.blocked_by IS NOT NULL)::int), 0)
            AS ifood_application_blocked,
          (SELECT count(*) {REFUSED_IN_A_ROW}) AS ifood_authorizations_refused_in_a_row
        FROM ifood_apps AS app LEFT JOIN ifood_limits AS used ON used.app_id = app.id
        GROUP BY app.id
    """,
)
LIMITERS = Gauges(
    labels=("app", "group"),
    meanings={"ifood_limiter_ahead_seconds": "How far ahead requests are reserved."},
    statement="""
        SELECT app.name AS app, used.endpoint_group AS group,
          greatest(extract(epoch FROM used.next_free_at - now()), 0) AS ifood_limiter_ahead_seconds
        FROM ifood_limits AS used JOIN ifood_apps AS app ON app.id = used.app_id
    """,
)
ACCOUNTS = Gauges(
    every=_SELDOM,
    labels=("state",),
    meanings={"ifood_accounts": "Accounts: active or inactive."},
    statement="""
        SELECT state, count(account.id) AS ifood_accounts
        FROM unnest(ARRAY['active', 'inactive']) AS state
        LEFT JOIN accounts AS account ON account.active = (state = 'active')
        GROUP BY state
    """,
)
STALE = Gauges(
    every=_SELDOM,
    labels=("kind",),
    meanings={
        "ifood_accounts_stale": "Active accounts without a success for longer than from one window "
        "to the next and a day."
    },
    statement=f"""
        SELECT kind, count(account.id) AS ifood_accounts_stale
        FROM unnest(CAST(:kinds AS text[]), CAST(:patience AS interval[])) AS feed(kind, patience)
        LEFT JOIN accounts AS account ON {IS_STALE}
        GROUP BY kind
    """,
)
AUTHORIZATIONS = Gauges(
    every=_SELDOM,
    labels=("state",),
    meanings={
        "ifood_authorizations": "Authorizations: ok, expiring (the refresh token, within 36 hours) "
        "or refused."
    },
    statement=f"""
        SELECT state, count(held.id) AS ifood_authorizations
        FROM unnest(ARRAY['ok', 'expiring', 'refused']) AS state
        LEFT JOIN (
          SELECT held.id, CASE
            WHEN held.needs_authorization_since IS NOT NULL OR {REFUSED_TWICE} THEN 'refused'
            WHEN held.refresh_expires_at < now() + :expiring THEN 'expiring'
            ELSE 'ok' END AS state
          FROM ifood_authorizations AS held
        ) AS held USING (state)
        GROUP BY state
    """,
)
KEYS = Gauges(
    every=_SELDOM,
    labels=("host",),
    meanings={
        "ifood_secrets_unreadable": "Authorizations with a secret that the host could not decrypt "
        "within 15 minutes."
    },
    statement=f"""
        SELECT unreadable_by AS host, count(*) AS ifood_secrets_unreadable
        FROM ifood_authorizations WHERE {UNREADABLE} GROUP BY unreadable_by
    """,
)
LAST_DAY = Gauges(
    every=_SELDOM,
    labels=("kind",),
    meanings={
        "ifood_jobs_24h": "Jobs that were planned in the last 24 hours.",
        "ifood_job_failures_24h": "Those of them that have failed.",
    },
    statement=f"""
        SELECT kind, count(job.id) AS ifood_jobs_24h,
          count(job.id) FILTER (WHERE job.status = 'failed') AS ifood_job_failures_24h
        FROM unnest(CAST(:kinds AS text[])) AS kind
        LEFT JOIN ifood_jobs AS job ON job.job_type = kind AND {IS_OF_A_DAY}
        GROUP BY kind
    """,
)
VANISHED_STORES = Gauges(
    every=_SELDOM,
    labels=("kind",),
    meanings={
        "ifood_vanished_stores": "Stores of one run of the last 24 hours that did not bring all "
        "or most of the rows that were known."
    },
    statement=f"""
        SELECT kind, coalesce(run.stores, 0) AS ifood_vanished_stores
        FROM unnest(CAST(:kinds AS text[])) AS kind LEFT JOIN {VANISHED} AS run USING (kind)
    """,
)
FOUND = Gauges(
    every=_SELDOM,
    labels=(),
    meanings={
        "ifood_history_bytes": "Size of the history on disk, its indexes included.",
        "ifood_rights_missing": "Ticks of schedulers, and workers, that Postgres denies a right.",
        "ifood_messages_lost": "Messages of the last 15 minutes that were lost or came early.",
        "ifood_jobs_at_odds": "Jobs that are not where their history ends: no act is possible.",
        "ifood_rules_failed": "Alert rules that cannot be evaluated.",
        "ifood_rabbitmq_unusable": "1 while a scheduler cannot log in to RabbitMQ.",
    },
    statement=f"""
        SELECT {HISTORY_BYTES} AS ifood_history_bytes, {LOST_MESSAGES} AS ifood_messages_lost,
          (SELECT count(*) FROM {AT_ODDS} AS job) AS ifood_jobs_at_odds,
          count(*) FILTER (WHERE name = 'RabbitUnusable') AS ifood_rabbitmq_unusable,
          count(*) FILTER (WHERE name = 'RuleFailed') AS ifood_rules_failed,
          count(*) FILTER (WHERE name = 'RightMissing') AS ifood_rights_missing
        FROM ifood_alerts WHERE resolved_at IS NULL
    """,
)
REJECTED_ITEMS = Gauges(
    every=_SELDOM,
    labels=("kind",),
    meanings={"ifood_rejected_items": "Items that the latest pulls could not read, set aside."},
    statement=f"""
        SELECT feed.kind, count(item.id) AS ifood_rejected_items
        FROM unnest(CAST(:kinds AS text[]), CAST(:patience AS interval[])) AS feed(kind, patience)
        LEFT JOIN {REJECTED}
        GROUP BY feed.kind
    """,
)
INCOMPLETE = Gauges(
    every=_SELDOM,
    labels=("kind",),
    meanings={
        "ifood_accounts_incomplete": "Active accounts whose latest two successes were not complete."
    },
    statement=f"""
        SELECT kind, count(account.id) AS ifood_accounts_incomplete
        FROM unnest(CAST(:kinds AS text[]), CAST(:patience AS interval[])) AS feed(kind, patience)
        LEFT JOIN accounts AS account ON {IS_INCOMPLETE}
        GROUP BY kind
    """,
)

ALL = (
    *(JOBS, DUE, RUNS, UNPLANNED, HEARTBEAT, BREAKERS, LIMITERS),
    *(ACCOUNTS, STALE, AUTHORIZATIONS, KEYS, LAST_DAY),
    *(VANISHED_STORES, FOUND, REJECTED_ITEMS, INCOMPLETE),
)


def values(settings: Settings) -> dict[str, object]:
    """Give what the statements bind now."""
    allowed = patience(settings)
    return {
        "kinds": list(allowed),
        "statuses": [status.value for status in JobStatus],
        "patience": list(allowed.values()),
        "opens_after": BREAKER_OPENS_AFTER,
        "expiring": EXPIRING,
        **latest_openings(settings, at=datetime.now(UTC)),
        "pause": PAUSE_AFTER_REFUSAL,
    }
