"""
What RabbitMQ should hold by the ledger's account, and how what it has lost is sent again.

Only the next look at a job is moved to now: the relay sends it, with the number that it has.
"""

from collections import Counter
from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import Connection, text

from ifood_actors.db import rows_of
from ifood_actors.ledger.bounds import IN_BOUNDS
from ifood_actors.ledger.statements import DUE_AT

# One whose `wake_at` has passed is the relay's already.
_SENT = f"""
    job_type = ANY(:kinds) AND status = 'pending' AND wake_at > statement_timestamp()
      AND dispatched_at < statement_timestamp() - CAST(:patience AS interval) AND {IN_BOUNDS}
"""
# The slot alone is there for the index.
_OVERDUE = f"""
    {_SENT} AND scheduled_for < statement_timestamp()
      AND {DUE_AT} < statement_timestamp() - CAST(:patience AS interval)
"""
_AHEAD = f"{_SENT} AND {DUE_AT} > statement_timestamp()"
# Twice as late as when it was sent last: see `wake_overdue`.
_TWICE_AS_LATE = f"statement_timestamp() - dispatched_at >= dispatched_at - {DUE_AT}"

# Of the locks of a table, the weakest that excludes itself: it stops neither signs of life nor
# readers. Any login could hold an advisory lock; this one needs the right to write.
_IN_TURN = text("LOCK TABLE ifood_schedulers IN SHARE UPDATE EXCLUSIVE MODE")


def in_turn(connection: Connection) -> None:
    """Let no other scheduler count while this one does, until the transaction ends."""
    connection.execute(_IN_TURN)


def overdue(connection: Connection, kinds: Collection[str], *, patience: timedelta) -> Counter[str]:
    """Count jobs, by kind, that were due `patience` ago and are not claimed."""
    rows = rows_of(
        connection,
        f"SELECT job_type, count(*) AS jobs FROM ifood_jobs WHERE {_OVERDUE} GROUP BY job_type",
        kinds=list(kinds),
        patience=patience,
    )
    return Counter({row["job_type"]: row["jobs"] for row in rows})


def ahead(connection: Connection, kinds: Collection[str], *, patience: timedelta) -> int:
    """Count jobs that were handed to RabbitMQ `patience` ago and are not due yet."""
    [row] = rows_of(
        connection,
        f"SELECT count(*) AS jobs FROM ifood_jobs WHERE {_AHEAD}",
        kinds=list(kinds),
        patience=patience,
    )
    return int(row["jobs"])


def busy(connection: Connection, *, threads: int) -> list[Counter[str]]:
    """Count the running jobs, by kind, of each worker process that has no thread left."""
    rows = rows_of(
        connection,
        "SELECT locked_by, job_type, count(*) AS jobs FROM ifood_jobs"
        " WHERE status = 'running' GROUP BY locked_by, job_type",
    )
    processes: dict[str, Counter[str]] = {}
    for row in rows:
        processes.setdefault(row["locked_by"], Counter())[row["job_type"]] = row["jobs"]
    return [running for running in processes.values() if running.total() >= threads]


def wake_overdue(connection: Connection, kind: str, number: int, *, patience: timedelta) -> int:
    """
    Let the relay send again at most so many of what `overdue` counts; return how many.

    Which of them were lost is unknown: first come those that were sent first. One that was sent
    again is so once more only when it is twice as late. So a count that is wrong, for however
    long, costs few copies.
    """
    return _wake(connection, f"{_OVERDUE} AND {_TWICE_AS_LATE}", [kind], number, patience)


def wake_ahead(
    connection: Connection, kinds: Collection[str], number: int, *, patience: timedelta
) -> int:
    """Let the relay send again at most so many of what `ahead` counts; return how many."""
    return _wake(connection, _AHEAD, kinds, number, patience)


def _wake(
    connection: Connection, which: str, kinds: Collection[str], number: int, patience: timedelta
) -> int:
    woken = rows_of(
        connection,
        f"""
        UPDATE ifood_jobs SET wake_at = statement_timestamp() WHERE id IN (
          SELECT id FROM ifood_jobs WHERE {which} ORDER BY dispatched_at, {DUE_AT} LIMIT :number
          FOR UPDATE SKIP LOCKED)
        RETURNING id
        """,
        kinds=list(kinds),
        number=number,
        patience=patience,
    )
    return len(woken)
