"""
Which index each query of the ledger reads, where it holds many jobs that have ended.

No query of a process, and none that a command or a page sends regularly, may read a large table
whole; and an index that none of them reads costs each act something, for nothing. The scans are
those that Postgres counts in the transaction itself: nothing depends on when it writes statistics.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import Connection, Engine, text
from support.rows import make_accounts, make_jobs

from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.figures import FIGURES, read_rows
from ifood_actors.kinds import KINDS
from ifood_actors.ledger import Ledger, forget_history, lost_messages, statements
from ifood_actors.ledger.queries import cost, daily, error_groups, runs
from ifood_actors.ledger.queries.jobs import JobFilter, find_jobs, history, job_facts
from ifood_actors.planning.planner import not_found_streaks

pytestmark = pytest.mark.services

ACCOUNTS, DAYS = 100, 110
LARGE = {"ifood_jobs", "ifood_job_events"}
TABLES = (*LARGE, "ifood_runs")
HOUR = timedelta(hours=1)
NOW = datetime.now(UTC)
TODAY = NOW.date()
WEEK_AGO, LONG_AGO = TODAY - timedelta(days=7), NOW - timedelta(days=100)

# Days of all kinds, all done, as they are left by an act after the other.
FILL = text("""
    WITH job AS (
      INSERT INTO ifood_jobs (job_type, account_id, merchant_id, job_day, run_id, period_start,
        period_end, scheduled_for, created_at, updated_at, finished_at, status, attempts, event_no,
        wake_at, result)
      SELECT run.job_type, account.id, ifood_merchant_id, run.job_day, run.id, run.job_day - 7,
        run.job_day - 1, run.job_day, run.job_day, run.job_day, run.job_day, 'success', 1, 4,
        NULL, '{"rows": 1}'
      FROM accounts AS account CROSS JOIN ifood_runs AS run
      RETURNING id, finished_at)
    INSERT INTO ifood_job_events (job_id, event_no, at, act, from_status, to_status, attempt, actor)
    SELECT id, number, finished_at, act, before, after, 1, 'builder'
    FROM job CROSS JOIN (VALUES (1, 'plan', NULL, 'pending'), (2, 'dispatch', 'pending', 'pending'),
      (3, 'claim', 'pending', 'running'), (4, 'succeed', 'running', 'success'))
      AS act(number, act, before, after)
""")
RUNS = text("""
    INSERT INTO ifood_runs (id, job_type, job_day, window_start, window_end, batch_size, planned,
      complete, created_by)
    SELECT gen_random_uuid(), kind, day, day, day + interval '1 hour', 5, :accounts, true, 'builder'
    FROM unnest(CAST(:kinds AS text[])) AS kind
    CROSS JOIN generate_series(current_date - :days, current_date - 1, interval '1 day') AS day
""")


def uses(connection: Connection) -> Counter[str]:
    """Count the scans of each index of the ledger so far, and under a table's name those of all."""
    rows = connection.execute(
        text("""
            SELECT oid::regclass::text AS name, pg_stat_get_xact_numscans(oid) AS scans
            FROM pg_class WHERE oid = ANY(CAST(:tables AS regclass[]))
            UNION ALL
            SELECT indexrelid::regclass::text, pg_stat_get_xact_numscans(indexrelid)
            FROM pg_index WHERE indrelid = ANY(CAST(:tables AS regclass[]))
        """),
        {"tables": list(TABLES)},
    )
    return Counter({row.name: row.scans for row in rows})


def fill(engine: Engine) -> None:
    make_accounts(engine, ACCOUNTS)
    with transaction(engine) as tx:
        # What judges an act must not judge rows of acts that are long over.
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        tx.execute(RUNS, {"kinds": list(KINDS), "days": DAYS, "accounts": ACCOUNTS})
        tx.execute(FILL)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"VACUUM ANALYZE {', '.join(TABLES)}"))


Read = Callable[[Connection], object]


def hot_reads(job_id: UUID) -> dict[tuple[str, ...], list[Read]]:
    """Give what processes read again and again, by the indexes that it must read, and no other."""
    kinds = list(KINDS)
    once = {"id": job_id, "dispatch_no": 1}
    return {
        ("idx_jobs_wake_at",): [
            lambda tx: Ledger(tx, actor="a").due(limit=100, kinds=kinds),
            lambda tx: Ledger(tx, actor="a").under_way(grace=HOUR),
            lambda tx: lost_messages.overdue(tx, kinds, patience=HOUR),
            lambda tx: lost_messages.ahead(tx, kinds, patience=HOUR),
        ],
        ("pk_ifood_jobs",): [
            lambda tx: tx.execute(statements.LOCK, once),
            lambda tx: job_facts(tx, job_id),
        ],
        ("uq_ifood_job_events_job_id_event_no",): [lambda tx: history(tx, job_id)],
        ("pk_ifood_job_events", "pk_ifood_jobs", "uq_ifood_job_events_job_id_event_no"): [
            lambda tx: forget_history(tx, before=LONG_AGO, after=0)
        ],
        ("uq_ifood_runs_job_type_job_day",): [
            lambda tx: runs.planned_days(tx, "sales", since=WEEK_AGO)
        ],
        ("idx_jobs_day",): [
            lambda tx: not_found_streaks(tx, "sales", since=WEEK_AGO),
            lambda tx: daily.delivered(tx, TODAY, kinds=kinds),
            lambda tx: cost.workloads(tx, dict.fromkeys(kinds, 7)),
            lambda tx: find_jobs(tx, JobFilter(kind="sales", day=TODAY), limit=50),
        ],
        ("idx_jobs_pending",): [
            lambda tx: find_jobs(tx, JobFilter(kind="sales", statuses=["failed"]), limit=50)
        ],
        ("uq_ifood_jobs_job_type_account_id_merchant_id_job_day",): [
            lambda tx: tx.execute(text("SELECT FROM reporting.freshness"))
        ],
    }


def other_reads() -> Iterator[Read]:
    """Give what else is read regularly: by which index, Postgres may choose."""
    yield lambda tx: lost_messages.busy(tx, threads=10)
    yield runs.open_runs
    yield runs.open_outside_runs
    yield runs.throughput
    yield lambda tx: runs.progress_of_runs(tx, also=[], planned_since=NOW)
    yield lambda tx: error_groups.error_groups(tx, since=timedelta(days=7))
    yield lambda tx: find_jobs(tx, JobFilter(statuses=["failed"]), limit=50)
    for statement in {each.query.statement for each in FIGURES}:
        yield partial(read_rows, statement=statement, settings=Settings())


def test_no_regular_query_reads_all_jobs_and_no_index_is_idle(engine):
    fill(engine)
    [job] = make_jobs(engine)
    used: set[str] = set()

    def indexes_of(read: Read) -> set[str]:
        with engine.connect() as connection:
            before = uses(connection)
            read(connection)
            found = set(uses(connection) - before)
            connection.rollback()
        assert not found & LARGE
        used.update(found)
        return found

    for expected, reads in hot_reads(job.id).items():
        for read in reads:
            assert indexes_of(read) == set(expected)
    for read in other_reads():
        indexes_of(read)

    with engine.connect() as connection:
        assert set(uses(connection)) - set(TABLES) <= used
