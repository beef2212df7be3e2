"""
How fetched items become rows: what is new or has changed, and what is no longer there.

A row that a complete pull brings as it is stored is not written again: `complete_pulls.py` notes
the pull, which saw it. Nothing that was once stored is deleted. An item that comes again and
differs keeps its former version in `ifood_record_versions`; a row that a complete re-read of its
period does not bring again is marked `missing_since`, at once or by a second witness
(`vanishing.py`), and unmarked when it comes back (docs/ifood-api.md, section 7).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import NamedTuple

from sqlalchemy import Connection, TextClause, text

from ifood_actors.feeds.complete_pulls import note_complete_pull
from ifood_actors.feeds.records import Fetched, Origin, Record
from ifood_actors.feeds.row_writing import Digested, digested, write_rows
from ifood_actors.feeds.vanishing import Known, Sight, judge
from ifood_actors.ledger import JobResult
from ifood_actors.round_trip import Rows, Statement
from ifood_actors.spans import Period


@dataclass(frozen=True, slots=True)
class _Stored:
    """
    What a complete read of a period must bring again.

    `unmarked` are the ids of those rows that need not be written when their digest is the same.
    """

    known: list[Known]
    unmarked: dict[bytes, int]


def lock_statement(table: type[Record], merchant_id: str) -> Statement:
    """
    Give the SQL that waits until no other transaction writes a merchant's records.

    It answers with the database's clock, `now`. Two pulls of one merchant (a replay beside the
    daily one) must not compare an item with a row that the other is about to replace.
    """
    return _LOCK, {"name": f"{table.__tablename__} {merchant_id}"}


def store(
    connection: Connection,
    fetched: Fetched,
    *,
    table: type[Record],
    period: Period,
    block_days: int,
    origin: Origin,
    known: Rows,
    now: datetime,
) -> JobResult:
    """
    Write what was fetched for `period` in the caller's transaction; twice is the same as once.

    The merchant's records are locked; `known` is what `known_statement` found since then.
    `block_days` are those that iFood was asked about at once, at most. Raises SchemaBroken when
    Postgres refuses a value.
    """
    complete = fetched.complete and not fetched.rejected
    # Else a row that is not written could not be told from one that did not come.
    stored = _stored(known if complete else [])
    as_stored: set[int] = set()
    due: list[Digested] = []
    for row in fetched.rows:
        each = digested(row, origin.account_id)
        if each.digest in stored.unmarked:
            as_stored.add(stored.unmarked[each.digest])
        else:
            due.append(each)
    written = write_rows(connection, due, table=table, origin=origin, now=now)
    missing = vanished = 0
    if complete:
        sight = Sight(origin.job_day, now)
        verdict = judge(
            stored.known,
            brought=as_stored.union(written.known_ids),
            days_brought=(Period(row["covered_from"], row["covered_to"]) for row in fetched.rows),
            spans=(period, *period.blocks(block_days)),
            sight=sight,
        )
        _mark(connection, mark_statements(table).missing, verdict.missing, sight=sight)
        _mark(connection, mark_statements(table).suspected, verdict.vanished, sight=sight)
        missing, vanished = len(verdict.missing), len(verdict.vanished)
        if as_stored:
            note_complete_pull(connection, table, period=period, origin=origin, now=now)
    return JobResult(
        rows=len(fetched.rows),
        new=written.new,
        changed=written.changed,
        unchanged=len(fetched.rows) - written.new - written.changed,
        missing=missing,
        vanished=vanished,
        amount=fetched.amount,
        complete=complete,
        rejected=len(fetched.rejected),
        other_merchant_ids=fetched.other_merchant_ids,
    )


def _stored(known: Rows) -> _Stored:
    stored = _Stored([], {})
    for row in known:
        day, since = row["suspected_day"], row["suspected_since"]
        suspected = None if since is None or day is None else Sight(day, since)
        period = Period(row["covered_from"], row["covered_to"])
        stored.known.append(Known(row["id"], period, suspected))
        if row["digest"] is not None:
            stored.unmarked[row["digest"]] = row["id"]
    return stored


def _mark(
    connection: Connection, statement: TextClause, ids: Sequence[int], *, sight: Sight
) -> None:
    if ids:
        connection.execute(statement, {"now": sight.at, "day": sight.day, "ids": list(ids)})


@cache
def known_statement(table: type[Record]) -> TextClause:
    """
    Give the SQL that reads what a complete pull of a period must bring again.

    The digest is NULL where the row must be written in any case: it was written by another
    release, its `raw` is forgotten, or it is suspected.
    """
    return text(f"""
        SELECT id, covered_from, covered_to, suspected_day, suspected_since,
          CASE WHEN digested_at = last_seen_at AND raw IS NOT NULL AND suspected_since IS NULL
            THEN digest END AS digest
        FROM {table.__tablename__}
        WHERE merchant_id = :merchant_id AND missing_since IS NULL
          AND covered_from >= :start AND covered_to <= :end
    """)


class MarkStatements(NamedTuple):
    """The SQL that marks rows."""

    missing: TextClause
    suspected: TextClause


@cache
def mark_statements(table: type[Record]) -> MarkStatements:
    """Give the SQL that marks rows, and writes into them which pull brought them last."""
    name = table.__tablename__
    return MarkStatements(
        *(
            text(f"""
                UPDATE {name} AS record
                SET {changes}, job_id = seen.job_id, last_seen_at = seen.last_seen_at
                FROM reporting.last_seen AS seen
                WHERE seen.record_table = '{name}' AND seen.record_id = record.id
                  AND record.id = ANY(:ids)
            """)
            for changes in (_MISSING, _SUSPECTED)
        )
    )


_MISSING = "missing_since = :now, suspected_since = NULL, suspected_day = NULL"
# The first sight stays.
_SUSPECTED = """
    suspected_since = coalesce(suspected_since, :now), suspected_day = coalesce(suspected_day, :day)
"""
# The clock is read when the lock is held: what FROM names is called before.
_LOCK = text("""
    SELECT clock_timestamp() AS now FROM pg_advisory_xact_lock(hashtextextended(:name, 0))
""")
