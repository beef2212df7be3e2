"""
The rows that are kept of what was fetched: their common columns, and their former versions.

Each item is kept whole in `raw`, beside the typed columns that reports and exports read, for as
long as `IFOOD_KEEP_RAW` says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Identity,
    LargeBinary,
    Numeric,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from ifood_actors.db import instant
from ifood_actors.feeds.items import IfoodModel, Raw

# The column values of one item; `raw` is the whole item, as it came.
Row = dict[str, Any]

MONEY = Numeric(14, 2)


class Record(SQLModel):
    """
    The columns that every record table has; a subclass adds those of its items.

    `covered_from` to `covered_to` are the days that a pull must have read in full to say that
    the row is gone. `suspected_since` and `suspected_day` are the first sight of a row that went
    with all the others, when and in which day's run: it is not missing yet. `job_id` is the job
    that wrote the row last, at `last_seen_at`; it is no foreign key, so that records can stay
    without their jobs. Pulls that bring the same item again do not write it: which one saw it last
    is in the view `reporting.last_seen`. `digest` is that of what was written at `digested_at`: it
    says nothing once another release, which does not know it, has written the row since.
    """

    # Columns that tell the rows of a table apart; absent days are equal to each other.
    natural_key: ClassVar[tuple[str, ...]]

    id: int = Field(sa_type=BigInteger, primary_key=True, sa_column_args=(Identity(),))
    account_id: UUID = Field(sa_type=Uuid)
    merchant_id: str = Field(sa_type=Text)
    job_id: UUID = Field(sa_type=Uuid)
    first_seen_at: datetime = Field(sa_type=DateTime(timezone=True))
    last_seen_at: datetime = Field(sa_type=DateTime(timezone=True))
    changed_at: datetime = Field(sa_type=DateTime(timezone=True))
    missing_since: datetime | None = Field(sa_type=DateTime(timezone=True))
    suspected_since: datetime | None = Field(sa_type=DateTime(timezone=True))
    suspected_day: date | None = Field(sa_type=Date)
    covered_from: date = Field(sa_type=Date)
    covered_to: date = Field(sa_type=Date)
    raw: Raw | None = Field(sa_type=JSONB)
    digest: bytes | None = Field(sa_type=LargeBinary)
    digested_at: datetime | None = Field(sa_type=DateTime(timezone=True))


class RecordVersion(SQLModel, table=True):
    """What a record was from `valid_from` until `valid_to`; `job_id` was the last to see it so."""

    __tablename__ = "ifood_record_versions"

    id: int = Field(sa_column=Column(BigInteger, Identity(), primary_key=True))
    # The table that `record_id` points into.
    record_table: str = Field(sa_column=Column(Text, nullable=False))
    record_id: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    job_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    raw: Raw = Field(sa_column=Column(JSONB, nullable=False))
    valid_from: datetime = Field(sa_column=instant(nullable=False))
    valid_to: datetime = Field(sa_column=instant(nullable=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose records they are, which job brought them, and of which day's run."""

    account_id: UUID
    merchant_id: str
    job_id: UUID
    job_day: date


@dataclass(frozen=True, slots=True)
class OddItem:
    """
    An item that cannot be read exactly, as it came; `reason` names the place, never the value.

    `key` is its own id or a hash; the days are those that it belongs to, as far as is known.
    """

    key: str
    reason: str
    raw: Any
    covered_from: date
    covered_to: date


@dataclass(frozen=True, slots=True)
class Fetched:
    """
    What a pull read: one row an item, each natural key once; and what it could not read.

    `amount` is the feed's figure for reports, in BRL. `complete` is False when the list ended
    before the count that the API itself gave: then nothing can be called missing.
    `other_merchant_ids` are those of other merchants that the envelopes name: a chain's, perhaps.
    """

    rows: tuple[Row, ...]
    amount: Decimal
    complete: bool = True
    rejected: tuple[OddItem, ...] = ()
    other_merchant_ids: tuple[str, ...] = ()


def columns_of(item: IfoodModel) -> Row:
    """Name an item's fields as columns: nested ones are joined, as `delivery_prices_net_value`."""
    columns: Row = {}
    _add_columns(columns, item.model_dump(exclude_none=True))
    return columns


def _add_columns(columns: Row, fields: Mapping[str, Any], prefix: str = "") -> None:
    for name, value in fields.items():
        if isinstance(value, dict):
            _add_columns(columns, value, f"{prefix}{name}_")
        else:
            columns[prefix + name] = value
