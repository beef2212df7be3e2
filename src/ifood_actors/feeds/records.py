"""
How fetched items become rows: upsert, former versions, and what is no longer there.

Nothing that was once stored is deleted. An item that comes again and differs keeps its former
version in `ifood_record_versions`; a row that a complete re-read of its period does not bring
again is marked `missing_since`, and unmarked when it comes back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar
from uuid import UUID

import simplejson
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Date,
    DateTime,
    Identity,
    Numeric,
    Text,
    TextClause,
    Uuid,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DataError
from sqlmodel import Field, Session, SQLModel

from ifood_actors import db as _naming  # noqa: F401 - names the constraints of what follows
from ifood_actors.errors import SchemaBroken
from ifood_actors.ifood.schemas import IfoodModel, Raw, storable
from ifood_actors.planning.cadence import Period

# The column values of one item; `raw` is the whole item, as it came.
Row = dict[str, Any]

MONEY = Numeric(14, 2)
# About 1 MB of JSON: one round trip for most stores, flat memory for the largest.
_BATCH = 500


class Record(SQLModel):
    """
    The columns that every record table has; a subclass adds those of its items.

    `covered_from` to `covered_to` are the days that a pull must have read in full to say that
    the row is gone. `job_id` is the job that wrote the row last, if only its `last_seen_at`; it
    is no foreign key, because jobs are pruned and records stay.
    """

    natural_key: ClassVar[tuple[str, ...]]

    id: int = Field(sa_type=BigInteger, primary_key=True, sa_column_args=(Identity(),))
    account_id: UUID = Field(sa_type=Uuid)
    merchant_id: str = Field(sa_type=Text)
    job_id: UUID = Field(sa_type=Uuid)
    first_seen_at: datetime = Field(sa_type=DateTime(timezone=True))
    last_seen_at: datetime = Field(sa_type=DateTime(timezone=True))
    changed_at: datetime = Field(sa_type=DateTime(timezone=True))
    missing_since: datetime | None = Field(sa_type=DateTime(timezone=True))
    covered_from: date = Field(sa_type=Date)
    covered_to: date = Field(sa_type=Date)
    raw: Raw = Field(sa_type=JSONB)


class RecordVersion(SQLModel, table=True):
    """What a record was from `valid_from` until `valid_to`; `job_id` was the last to see it so."""

    __tablename__ = "ifood_record_versions"

    id: int = Field(sa_column=Column(BigInteger, Identity(), primary_key=True))
    # The table that `record_id` points into.
    record_table: str = Field(sa_column=Column(Text, nullable=False))
    record_id: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    job_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    raw: Raw = Field(sa_column=Column(JSONB, nullable=False))
    valid_from: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    valid_to: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))


@dataclass(frozen=True, slots=True)
class Fetched:
    """
    What a pull read: one row an item, each natural key once.

    `amount` is the feed's figure for reports, in BRL. `complete` is False when the list ended
    before the count that the API itself gave: then nothing can be called missing.
    """

    rows: tuple[Row, ...]
    amount: Decimal
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """
    What storing did: `rows` are `new`, `changed` or `unchanged`; `missing` counts new marks.

    `amount` and `complete` are those of Fetched.
    """

    rows: int
    new: int
    changed: int
    unchanged: int
    missing: int
    amount: Decimal
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose records they are, which job brought them, and when."""

    account_id: UUID
    merchant_id: str
    job_id: UUID
    now: datetime


def columns_of(item: IfoodModel) -> Row:
    """Name an item's fields as columns: nested ones are joined, as `delivery_prices_net_value`."""
    return dict(_flat(item.model_dump(exclude_none=True)))


def canonical(value: object) -> str:
    """Write a JSON value so that equal values give equal text."""
    return _dumps(value, sort_keys=True)


def store(
    session: Session, fetched: Fetched, *, table: type[Record], period: Period, origin: Origin
) -> Stored:
    """
    Write what was fetched for `period` in the caller's transaction; twice is the same as once.

    Raises SchemaBroken when Postgres refuses a value.
    """
    connection = session.connection()
    # Two pulls of one merchant (a replay beside the daily one) must not compare an item with a
    # row that the other is about to replace.
    connection.execute(_LOCK, {"name": f"{table.__tablename__} {origin.merchant_id}"})

    ids: list[int] = []
    new = changed = missing = 0
    for first in range(0, len(fetched.rows), _BATCH):
        batch = fetched.rows[first : first + _BATCH]
        written, added, replaced = _upsert(connection, batch, table=table, origin=origin)
        ids += written
        new += added
        changed += replaced
    if fetched.complete:
        missing = _mark_missing(connection, ids, table=table, period=period, origin=origin)
    return Stored(
        rows=len(ids),
        new=new,
        changed=changed,
        unchanged=len(ids) - new - changed,
        missing=missing,
        amount=fetched.amount,
        complete=fetched.complete,
    )


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}_")
        else:
            yield prefix + name, value


def _upsert(
    connection: Connection, rows: Sequence[Row], *, table: type[Record], origin: Origin
) -> tuple[list[int], int, int]:
    try:
        result = connection.execute(
            _upsert_statement(table), {"rows": _json(rows), **asdict(origin)}
        )
    except DataError as error:
        # Such as a number beyond numeric's range. The driver's text would repeat the value.
        code = getattr(error.orig, "sqlstate", None)
        raise SchemaBroken(f"{table.__tablename__}: Postgres refuses a value ({code})") from None
    ids, new, changed = result.one()
    return ids, new, changed


def _mark_missing(
    connection: Connection,
    ids: list[int],
    *,
    table: type[Record],
    period: Period,
    origin: Origin,
) -> int:
    statement = text(f"""
        UPDATE {table.__tablename__} SET missing_since = :now
        WHERE merchant_id = :merchant_id AND missing_since IS NULL
          AND covered_from >= :start AND covered_to <= :end
          AND id NOT IN (SELECT unnest(CAST(:ids AS bigint[])))
    """)
    values = {"ids": ids, "start": period.start, "end": period.end}
    return connection.execute(
        statement, {**values, "now": origin.now, "merchant_id": origin.merchant_id}
    ).rowcount


def _json(rows: Sequence[Row]) -> str:
    """Write rows as JSON that Postgres takes; decimals keep every digit."""
    written = _dumps(rows)
    try:
        written.encode()
    except UnicodeEncodeError:
        return _dumps(_cleaned(rows))
    return _dumps(_cleaned(rows)) if r"\u0000" in written else written


def _dumps(value: object, *, sort_keys: bool = False) -> str:
    return simplejson.dumps(
        value,
        use_decimal=True,
        ensure_ascii=False,
        separators=(",", ":"),
        sort_keys=sort_keys,
        default=str,  # dates and instants, as ISO text
    )


def _cleaned(value: Any) -> Any:  # noqa: ANN401 - JSON's edge
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(name): _cleaned(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(member) for member in value]
    return value


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy has no stub for it
# What the statement itself sets; every other column comes from the item.
_OWN = {"id", "missing_since", "account_id", "merchant_id", "job_id"}
_OWN |= {"first_seen_at", "last_seen_at", "changed_at"}


@cache
def _upsert_statement(table: type[Record]) -> TextClause:
    """
    Write one batch in one statement.

    Its parts share one snapshot: `former` are the rows as they were before `written`. Every
    column follows the item, also when `raw` is the same: an upgrade may read more out of it.
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
            changed_at = CASE WHEN record.raw = excluded.raw THEN record.changed_at
              ELSE excluded.changed_at END
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
