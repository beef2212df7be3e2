"""
Writing rows: new ones by COPY, those whose natural key is stored already by an upsert.

COPY is the fastest that Postgres has; it knows no conflict, so the caller holds the lock of the
merchant's records, and what is stored is asked for first.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cache
from hashlib import blake2b
from itertools import compress
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import Column, Connection, TextClause, text
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

from ifood_actors.db import driver
from ifood_actors.feeds.exact_json import refusals, storable_bytes, storable_json
from ifood_actors.feeds.records import Origin, Record, Row

# About 1 MB of JSON: one round trip for most stores, flat memory for the largest.
_BATCH = 500
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy has no stub for it
# What a statement itself sets; every other column comes from the item.
_INSTANTS = ("first_seen_at", "last_seen_at", "changed_at", "digested_at")
_OWN = {"id", "account_id", "merchant_id", "job_id", "digest", *_INSTANTS}
_OWN |= {"missing_since", "suspected_since", "suspected_day"}
_DIGEST_BYTES = 16


class Digested(NamedTuple):
    """A row, its `raw` as JSON, and the digest of all that is written of it."""

    row: Row
    raw: bytes
    digest: bytes


@dataclass(slots=True)
class Written:
    """How many rows were new and how many had changed; `known_ids` are those that were stored."""

    known_ids: list[int] = field(default_factory=list)
    new: int = 0
    changed: int = 0


def digested(row: Row, account_id: UUID) -> Digested:
    """
    Add a digest by which equal rows of one account are known; another row has another one.

    What is only written otherwise, as 62.9 for 62.90, has another digest, and Postgres compares it
    by value. So has what a later release reads of the same item.
    """
    raw = storable_bytes(row["raw"])
    rest = storable_bytes((account_id, {**row, "raw": None}))
    return Digested(row, raw, blake2b(rest + raw, digest_size=_DIGEST_BYTES).digest())


def write_rows(
    connection: Connection,
    rows: Sequence[Digested],
    *,
    table: type[Record],
    origin: Origin,
    now: datetime,
) -> Written:
    """
    Write rows of one merchant in batches, each natural key once; keep the former versions.

    Raises SchemaBroken when Postgres refuses a value.
    """
    written = Written()
    for first in range(0, len(rows), _BATCH):
        batch = rows[first : first + _BATCH]
        with refusals(str(table.__tablename__)):
            known = _which_are_known(connection, batch, table=table, origin=origin)
            _copy(
                connection,
                [row for row, is_known in zip(batch, known, strict=True) if not is_known],
                table=table,
                origin=origin,
                now=now,
            )
            ids, changed = _upsert(
                connection, list(compress(batch, known)), table=table, origin=origin, now=now
            )
        written.known_ids += ids
        written.changed += changed
        written.new += len(batch) - len(ids)
    return written


def _which_are_known(
    connection: Connection, rows: Sequence[Digested], *, table: type[Record], origin: Origin
) -> list[bool]:
    """Say of each row whether its natural key is stored."""
    names = _key_columns(table)
    keys = storable_json([{name: each.row.get(name) for name in names} for each in rows])
    values = {"merchant_id": origin.merchant_id, "keys": keys}
    return list(connection.execute(known_keys_statement(table), values).scalars())


def _copy(
    connection: Connection,
    rows: Sequence[Digested],
    *,
    table: type[Record],
    origin: Origin,
    now: datetime,
) -> None:
    if not rows:
        return
    columns = [column for column in _columns(table) if column.name != "id"]
    names = [column.name for column in columns]
    common = {**asdict(origin), **dict.fromkeys(_INSTANTS, now)}
    statement = f"COPY {table.__tablename__} ({', '.join(names)}) FROM STDIN (FORMAT binary)"
    with (
        driver(connection) as link,
        link.cursor() as cursor,
        cursor.copy(statement.encode()) as copy,
    ):
        copy.set_types([_type_of(column).partition("(")[0].lower() for column in columns])
        for row, raw, digest in rows:
            values = {**row, **common, "digest": digest, "raw": Jsonb(raw, dumps=bytes)}
            copy.write_row([values.get(name) for name in names])


def _upsert(
    connection: Connection,
    rows: Sequence[Digested],
    *,
    table: type[Record],
    origin: Origin,
    now: datetime,
) -> tuple[list[int], int]:
    """Return the ids of the rows, and how many have changed."""
    if not rows:
        return [], 0
    values = {
        "rows": storable_json([each.row for each in rows]),
        "digests": [each.digest for each in rows],
        "now": now,
    }
    ids, changed = connection.execute(upsert_statement(table), {**values, **asdict(origin)}).one()
    return ids, changed


def _columns(table: type[Record]) -> list[Column[Any]]:
    return list(SQLModel.metadata.tables[str(table.__tablename__)].columns)


def _type_of(column: Column[Any]) -> str:
    return str(column.type.compile(_DIALECT))


@cache
def _key_columns(table: type[Record]) -> list[str]:
    """Name the columns of the natural key that come from the item; it may name them in SQL."""
    words = set(re.findall(r"\w+", " ".join(table.natural_key)))
    return [c.name for c in _columns(table) if c.name in words and c.name not in _OWN]


@cache
def known_keys_statement(table: type[Record]) -> TextClause:
    """
    Give the SQL that says of each key, in their order, whether a row has it.

    It looks each up in the unique index; for EXISTS, Postgres may read all rows of the merchant.
    """
    names = _key_columns(table)
    types = ", ".join(f"{c.name} {_type_of(c)}" for c in _columns(table) if c.name in names)
    key = ", ".join(table.natural_key)
    parts = ", ".join(f"part_{number}" for number, _ in enumerate(table.natural_key))
    return text(f"""
        SELECT (SELECT true FROM {table.__tablename__} WHERE ({key}) = ({parts})) IS TRUE
        FROM (
          SELECT place, {key}
          FROM ROWS FROM (jsonb_to_recordset(CAST(:keys AS jsonb)) AS ({types}))
            WITH ORDINALITY AS item ({", ".join(names)}, place)
          CROSS JOIN (SELECT CAST(:merchant_id AS text) AS merchant_id) AS whose
        ) AS wanted (place, {parts})
        ORDER BY place
    """)


@cache
def upsert_statement(table: type[Record]) -> TextClause:
    """
    Give the SQL that writes one batch of rows whose natural keys are stored.

    Its parts share one snapshot: `former` are the rows as they were before `written`. Every
    column follows the item, also when `raw` is the same: an upgrade may read more out of it. With a
    former `raw` that is no longer kept, nothing can be said to have changed.
    """
    name = str(table.__tablename__)
    columns = [column for column in _columns(table) if column.name not in _OWN]
    names = ", ".join(c.name for c in columns)
    types = ", ".join(f"{c.name} {_type_of(c)}" for c in columns)
    changes = ", ".join(f"{c.name} = excluded.{c.name}" for c in columns)
    return text(f"""
        WITH written AS (
          INSERT INTO {name} AS record ({names}, digest, account_id, merchant_id, job_id,
            first_seen_at, last_seen_at, changed_at, digested_at)
          SELECT {names}, digest, :account_id, :merchant_id, :job_id, :now, :now, :now, :now
          FROM ROWS FROM (jsonb_to_recordset(CAST(:rows AS jsonb)) AS ({types}),
            unnest(CAST(:digests AS bytea[]))) AS item ({names}, digest)
          ON CONFLICT ({", ".join(table.natural_key)}) DO UPDATE SET {changes},
            digest = excluded.digest, digested_at = excluded.digested_at,
            account_id = excluded.account_id, job_id = excluded.job_id,
            last_seen_at = excluded.last_seen_at, missing_since = NULL,
            suspected_since = NULL, suspected_day = NULL,
            changed_at = CASE WHEN record.raw <> excluded.raw THEN excluded.changed_at
              ELSE record.changed_at END
          RETURNING id, raw),
        compared AS (
          SELECT written.id, former.raw <> written.raw AS is_changed,
            seen.job_id, former.raw, former.changed_at
          FROM written JOIN {name} AS former ON former.id = written.id
          JOIN reporting.last_seen AS seen
            ON seen.record_table = '{name}' AND seen.record_id = written.id),
        versions AS (
          INSERT INTO ifood_record_versions
            (record_table, record_id, job_id, raw, valid_from, valid_to)
          SELECT '{name}', id, job_id, raw, changed_at, :now FROM compared WHERE is_changed)
        SELECT coalesce(array_agg(id), '{{}}'), count(*) FILTER (WHERE is_changed) FROM compared
    """)
