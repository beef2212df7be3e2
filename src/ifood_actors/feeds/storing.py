"""
How fetched items become rows: upsert, former versions, and what is no longer there.

Nothing that was once stored is deleted. An item that comes again and differs keeps its former
version in `ifood_record_versions`; a row that a complete re-read of its period does not bring
again is marked `missing_since`, at once or by a second witness (`vanishing.py`), and unmarked when
it comes back (docs/ifood-api.md, section 7).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import cache
from uuid import UUID

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

from ifood_actors.feeds.exact_json import refusals, storable_json
from ifood_actors.feeds.records import Fetched, Record
from ifood_actors.feeds.vanishing import Known, Sight, judge
from ifood_actors.ledger import JobResult
from ifood_actors.spans import Period

# About 1 MB of JSON: one round trip for most stores, flat memory for the largest.
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose records they are, which job brought them, of which day's run, and when."""

    account_id: UUID
    merchant_id: str
    job_id: UUID
    job_day: date
    now: datetime


def store(
    connection: Connection,
    fetched: Fetched,
    *,
    table: type[Record],
    period: Period,
    block_days: int,
    origin: Origin,
) -> JobResult:
    """
    Write what was fetched for `period` in the caller's transaction; twice is the same as once.

    `block_days` are those that iFood was asked about at once, at most. Raises SchemaBroken when
    Postgres refuses a value.
    """
    # Two pulls of one merchant (a replay beside the daily one) must not compare an item with a
    # row that the other is about to replace.
    connection.execute(_LOCK, {"name": f"{table.__tablename__} {origin.merchant_id}"})

    known = _known(connection, table=table, period=period, origin=origin)
    ids: list[int] = []
    new = changed = missing = vanished = 0
    for first in range(0, len(fetched.rows), _BATCH):
        batch = fetched.rows[first : first + _BATCH]
        values = {"rows": storable_json(batch), **asdict(origin)}
        with refusals(str(table.__tablename__)):
            written, added, replaced = connection.execute(_upsert_statement(table), values).one()
        ids += written
        new += added
        changed += replaced
    complete = fetched.complete and not fetched.rejected
    if complete:
        sight = Sight(origin.job_day, origin.now)
        verdict = judge(
            known,
            brought=set(ids),
            days_brought=(Period(row["covered_from"], row["covered_to"]) for row in fetched.rows),
            spans=(period, *period.blocks(block_days)),
            sight=sight,
        )
        _mark(connection, _MISSING, verdict.missing, table=table, sight=sight)
        _mark(connection, _SUSPECTED, verdict.vanished, table=table, sight=sight)
        missing, vanished = len(verdict.missing), len(verdict.vanished)
    return JobResult(
        rows=len(ids),
        new=new,
        changed=changed,
        unchanged=len(ids) - new - changed,
        missing=missing,
        vanished=vanished,
        amount=fetched.amount,
        complete=complete,
        rejected=len(fetched.rejected),
        other_merchant_ids=fetched.other_merchant_ids,
    )


def _known(
    connection: Connection, *, table: type[Record], period: Period, origin: Origin
) -> list[Known]:
    """Give the rows that a complete read of the period must bring again."""
    statement = text(f"""
        SELECT id, covered_from, covered_to, suspected_day, suspected_since
        FROM {table.__tablename__}
        WHERE merchant_id = :merchant_id AND missing_since IS NULL
          AND covered_from >= :start AND covered_to <= :end
    """)
    values = {"merchant_id": origin.merchant_id, "start": period.start, "end": period.end}
    return [
        Known(id_, Period(first, last), None if since is None or day is None else Sight(day, since))
        for id_, first, last, day, since in connection.execute(statement, values)
    ]


def _mark(
    connection: Connection, changes: str, ids: Sequence[int], *, table: type[Record], sight: Sight
) -> None:
    if ids:
        statement = text(f"UPDATE {table.__tablename__} SET {changes} WHERE id = ANY(:ids)")
        connection.execute(statement, {"now": sight.at, "day": sight.day, "ids": list(ids)})


_MISSING = "missing_since = :now, suspected_since = NULL, suspected_day = NULL"
# The first sight stays.
_SUSPECTED = """
    suspected_since = coalesce(suspected_since, :now), suspected_day = coalesce(suspected_day, :day)
"""
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy has no stub for it
# What the statement itself sets; every other column comes from the item.
_OWN = {"id", "missing_since", "account_id", "merchant_id", "job_id"}
_OWN |= {"first_seen_at", "last_seen_at", "changed_at", "suspected_since", "suspected_day"}


@cache
def _upsert_statement(table: type[Record]) -> TextClause:
    """
    Write one batch in one statement.

    Its parts share one snapshot: `former` are the rows as they were before `written`. Every
    column follows the item, also when `raw` is the same: an upgrade may read more out of it. With a
    former `raw` that is no longer kept, nothing can be said to have changed.
    """
    name = str(table.__tablename__)
    columns = [c for c in SQLModel.metadata.tables[name].columns if c.name not in _OWN]
    names = ", ".join(c.name for c in columns)
    types = ", ".join(f"{c.name} {c.type.compile(_DIALECT)}" for c in columns)
    changes = ", ".join(f"{c.name} = excluded.{c.name}" for c in columns)
    return text(f"""
        WITH written AS (
          INSERT INTO {name} AS record
            ({names}, account_id, merchant_id, job_id, first_seen_at, last_seen_at, changed_at)
          SELECT {names}, :account_id, :merchant_id, :job_id, :now, :now, :now
          FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS item ({types})
          ON CONFLICT ({", ".join(table.natural_key)}) DO UPDATE SET {changes},
            account_id = excluded.account_id, job_id = excluded.job_id,
            last_seen_at = excluded.last_seen_at, missing_since = NULL,
            suspected_since = NULL, suspected_day = NULL,
            changed_at = CASE WHEN record.raw <> excluded.raw THEN excluded.changed_at
              ELSE record.changed_at END
          RETURNING id, raw),
        compared AS (
          SELECT written.id, former.id IS NULL AS is_new, former.raw <> written.raw AS is_changed,
            former.job_id, former.raw, former.changed_at
          FROM written LEFT JOIN {name} AS former ON former.id = written.id),
        versions AS (
          INSERT INTO ifood_record_versions
            (record_table, record_id, job_id, raw, valid_from, valid_to)
          SELECT '{name}', id, job_id, raw, changed_at, :now FROM compared WHERE is_changed)
        SELECT array_agg(id), count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE is_changed)
        FROM compared
    """)
