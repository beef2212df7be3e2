"""
How the release before 0020 stored records: each row of each pull was written.

Its workers work beside ours during an upgrade, and what a reader of the records finds must be what
it left.
"""

from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

from ifood_actors.feeds import Fetched, Origin, Record
from ifood_actors.feeds.exact_json import storable_json
from ifood_actors.feeds.vanishing import Known, Sight, judge
from ifood_actors.ledger import JobResult
from ifood_actors.spans import Period

_DIALECT = postgresql.dialect()
_OWN = {"id", "missing_since", "account_id", "merchant_id", "job_id", "digest", "digested_at"}
_OWN |= {"first_seen_at", "last_seen_at", "changed_at", "suspected_since", "suspected_day"}


def store_as_before(
    connection: Connection,
    fetched: Fetched,
    *,
    table: type[Record],
    period: Period,
    block_days: int,
    origin: Origin,
    now: datetime,
) -> JobResult:
    """Write what was fetched, as the release before did."""
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
    connection.execute(lock, {"name": f"{table.__tablename__} {origin.merchant_id}"})
    known = _known(connection, table=table, period=period, origin=origin)
    ids: list[int] = []
    new = changed = missing = vanished = 0
    if fetched.rows:
        values = {"rows": storable_json(fetched.rows), **asdict(origin), "now": now}
        ids, new, changed = connection.execute(text(_upsert(table)), values).one()
    complete = fetched.complete and not fetched.rejected
    if complete:
        sight = Sight(origin.job_day, now)
        verdict = judge(
            known,
            brought=set(ids),
            days_brought=(Period(row["covered_from"], row["covered_to"]) for row in fetched.rows),
            spans=(period, *period.blocks(block_days)),
            sight=sight,
        )
        for changes, marked in ((_MISSING, verdict.missing), (_SUSPECTED, verdict.vanished)):
            statement = f"UPDATE {table.__tablename__} SET {changes} WHERE id = ANY(:ids)"
            connection.execute(text(statement), {"now": now, "day": sight.day, "ids": marked})
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


_MISSING = "missing_since = :now, suspected_since = NULL, suspected_day = NULL"
_SUSPECTED = """
    suspected_since = coalesce(suspected_since, :now), suspected_day = coalesce(suspected_day, :day)
"""


def _upsert(table: type[Record]) -> str:
    name = str(table.__tablename__)
    columns = [c for c in SQLModel.metadata.tables[name].columns if c.name not in _OWN]
    names = ", ".join(c.name for c in columns)
    types = ", ".join(f"{c.name} {c.type.compile(_DIALECT)}" for c in columns)
    changes = ", ".join(f"{c.name} = excluded.{c.name}" for c in columns)
    return f"""
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
    """
