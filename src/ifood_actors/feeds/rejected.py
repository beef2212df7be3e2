"""
Items that cannot be read exactly: set aside as they came, so that the others can be stored.

A later pull tries them again. An item leaves the table when a pull reads it, or when a pull that
read all of its days to the end of the list no longer brings it.
"""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from ifood_actors.db import instant
from ifood_actors.errors import SchemaBroken
from ifood_actors.feeds.exact_json import canonical, refusals, storable, storable_json
from ifood_actors.feeds.records import Fetched, OddItem, Origin
from ifood_actors.ifood.http.item_bounds import is_too_deep
from ifood_actors.round_trip import Rows, Statement
from ifood_actors.spans import Period

_LONGEST_KEY = 200  # as of the records: Postgres limits the rows of an index


class RejectedItem(SQLModel, table=True):
    """An item that the pulls from `first_seen_at` to `last_seen_at` could not read."""

    __tablename__ = "ifood_rejected_items"
    __table_args__ = (sa.UniqueConstraint("merchant_id", "kind", "item_key"),)

    id: int = Field(sa_column=sa.Column(sa.BigInteger, sa.Identity(), primary_key=True))
    kind: str = Field(sa_column=sa.Column(sa.Text, nullable=False))
    account_id: UUID = Field(sa_column=sa.Column(sa.Uuid, nullable=False))
    merchant_id: str = Field(sa_column=sa.Column(sa.Text, nullable=False))
    job_id: UUID = Field(sa_column=sa.Column(sa.Uuid, nullable=False))
    item_key: str = Field(sa_column=sa.Column(sa.Text, nullable=False))
    # What cannot be read, and where; never the value.
    reason: str = Field(sa_column=sa.Column(sa.Text, nullable=False))
    raw: Any = Field(sa_column=sa.Column(JSONB(none_as_null=False), nullable=False))
    covered_from: date = Field(sa_column=sa.Column(sa.Date, nullable=False))
    covered_to: date = Field(sa_column=sa.Column(sa.Date, nullable=False))
    first_seen_at: datetime = Field(sa_column=instant(nullable=False))
    last_seen_at: datetime = Field(sa_column=instant(nullable=False))


def odd_item(raw: object, fault: SchemaBroken, *, first: date, last: date) -> OddItem:
    """
    Describe an item that `fault` says cannot be read; it belongs to days `first` to `last`.

    One that is nested too deep for other readers is kept as its text.
    """
    kept = canonical(raw) if is_too_deep(raw) else raw
    return OddItem(item_key(kept), str(fault), kept, covered_from=first, covered_to=last)


def item_key(raw: object) -> str:
    """Give what an item is known by: its own id, or else a hash of all that it is."""
    own = raw.get("id") if isinstance(raw, dict) else None
    if isinstance(own, str | int | Decimal) and not isinstance(own, bool):
        key = storable(str(own))
        if 0 < len(key) <= _LONGEST_KEY:
            return key
    return "derived:" + sha256(storable(canonical(raw)).encode()).hexdigest()


def rejected_statement(kind: str, merchant_id: str) -> Statement:
    """Give the SQL that reads the keys of a merchant's items that are set aside, `item_key`."""
    return _KNOWN, {"kind": kind, "merchant_id": merchant_id}


def set_aside(
    connection: Connection,
    fetched: Fetched,
    *,
    kind: str,
    period: Period,
    origin: Origin,
    known: Rows,
    now: datetime,
) -> None:
    """
    Keep what a pull could not read, and forget what it could, in the caller's transaction.

    `known` is what `rejected_statement` found. Raises SchemaBroken when Postgres refuses a value.
    """
    whose = {"kind": kind, "merchant_id": origin.merchant_id}
    keys = {row["item_key"] for row in known}
    odd = [item.key for item in fetched.rejected]
    if keys:
        read = {item_key(row["raw"]) for row in fetched.rows}
        days = {"start": period.start, "end": period.end}
        which = {"odd": odd, "read": list(read.intersection(keys)), "all": fetched.complete}
        connection.execute(_FORGET, {**whose, **days, **which})
    if odd:
        items = storable_json([asdict(item) for item in fetched.rejected])
        with refusals("ifood_rejected_items"):
            values = {"items": items, "kind": kind, "now": now, **asdict(origin)}
            connection.execute(_SET_ASIDE, values)


@dataclass(frozen=True)
class RejectedRow:
    """A rejected item as a list shows it; `first_day` to `last_day` are those it belongs to."""

    kind: str
    account: str
    merchant_id: str
    key: str
    reason: str
    first_day: date
    last_day: date
    first_seen: datetime
    last_seen: datetime
    job_id: UUID
    raw: Any


def rejected_items(
    connection: Connection, *, kind: str | None = None, account: str | None = None, limit: int
) -> list[RejectedRow]:
    """Give rejected items, latest seen first; `account` is a name or a merchant id."""
    values = {"kind": kind, "account": account, "limit": limit}
    return [RejectedRow(**row) for row in connection.execute(_LIST, values).mappings()]


_KNOWN = text("""
    SELECT item_key FROM ifood_rejected_items WHERE merchant_id = :merchant_id AND kind = :kind
""")
_FORGET = text("""
    DELETE FROM ifood_rejected_items
    WHERE merchant_id = :merchant_id AND kind = :kind AND item_key <> ALL(CAST(:odd AS text[]))
      AND (item_key = ANY(CAST(:read AS text[]))
        OR :all AND covered_from >= :start AND covered_to <= :end)
""")
_LIST = text("""
    SELECT item.kind, coalesce(account.name, item.merchant_id) AS account, item.merchant_id,
      item_key AS key, reason, covered_from AS first_day, covered_to AS last_day,
      first_seen_at AS first_seen, last_seen_at AS last_seen, job_id, raw
    FROM ifood_rejected_items AS item LEFT JOIN accounts AS account ON account.id = item.account_id
    WHERE item.kind = coalesce(CAST(:kind AS text), item.kind)
      AND (CAST(:account AS text) IS NULL OR :account IN (account.name, item.merchant_id))
    ORDER BY last_seen_at DESC, item.id DESC LIMIT :limit
""")
_SET_ASIDE = text("""
    INSERT INTO ifood_rejected_items AS known (kind, account_id, merchant_id, job_id, item_key,
      reason, raw, covered_from, covered_to, first_seen_at, last_seen_at)
    SELECT :kind, :account_id, :merchant_id, :job_id, key, reason, coalesce(raw, 'null'),
      covered_from, covered_to, :now, :now
    FROM jsonb_to_recordset(CAST(:items AS jsonb))
      AS item (key text, reason text, raw jsonb, covered_from date, covered_to date)
    ON CONFLICT (merchant_id, kind, item_key) DO UPDATE SET
      account_id = excluded.account_id, job_id = excluded.job_id, reason = excluded.reason,
      raw = excluded.raw, covered_from = excluded.covered_from, covered_to = excluded.covered_to,
      last_seen_at = excluded.last_seen_at
""")
