"""
Anticipations: payouts that the store brought forward for a fee.

An item has no id of its own, so it is known by its period, type, dates and amount; a corrected
amount is a new row, and the old one goes missing. Most stores have no plan and always answer with
nothing. The API's side is in docs/ifood-api.md, section 5.
"""

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlmodel import Field

from ifood_actors.feeds.calculation_periods import fetched, read_calculation_blocks
from ifood_actors.feeds.feed import Feed
from ifood_actors.feeds.field_types import Day, Key, Maybe, Money, Rate, Text
from ifood_actors.feeds.items import IfoodModel
from ifood_actors.feeds.records import MONEY, Fetched, Record, Row
from ifood_actors.ifood.http import MerchantApi
from ifood_actors.kinds import KINDS
from ifood_actors.spans import Period

_KIND = KINDS["anticipations_daily"]

_IDENTITY = (
    "calculation_start",
    "calculation_end",
    "type",
    "original_payment_date",
    "anticipated_payment_date",
    "original_payment_amount",
)


class Anticipation(IfoodModel):
    """A payout brought forward for a fee; it has no id (docs/ifood-api.md, section 5)."""

    type: Key
    original_payment_amount: Money
    fee_percentage: Maybe[Rate] = None
    fee_amount: Maybe[Money] = None
    anticipated_payment_amount: Money
    status: Text | None = None
    original_payment_date: Maybe[Day] = None
    anticipated_payment_date: Maybe[Day] = None


def _day_in_key(column: str) -> str:
    """Make absent days equal to each other; NULLS NOT DISTINCT needs Postgres 15."""
    return f"COALESCE({column}, '-infinity'::date)"


class AnticipationRecord(Record, table=True):
    __tablename__ = _KIND.table
    natural_key = (
        "merchant_id",
        _day_in_key("calculation_start"),
        _day_in_key("calculation_end"),
        "type",
        _day_in_key("original_payment_date"),
        _day_in_key("anticipated_payment_date"),
        "original_payment_amount",
        "ordinal",
    )
    __table_args__ = (
        sa.Index("uq_ifood_anticipations_natural_key", *map(sa.text, natural_key), unique=True),
        sa.Index(None, "merchant_id", "covered_from"),
    )

    calculation_start: date | None = Field(sa_column=sa.Column(sa.Date))
    calculation_end: date | None = Field(sa_column=sa.Column(sa.Date))
    type: str = Field(sa_column=sa.Column(sa.Text, nullable=False))
    original_payment_date: date | None = Field(sa_column=sa.Column(sa.Date))
    anticipated_payment_date: date | None = Field(sa_column=sa.Column(sa.Date))
    original_payment_amount: Decimal = Field(sa_column=sa.Column(MONEY, nullable=False))
    # 1, 2... for items that are equal in all of the above.
    ordinal: int = Field(sa_column=sa.Column(sa.Integer, nullable=False))
    fee_percentage: Decimal | None = Field(sa_column=sa.Column(sa.Numeric))
    fee_amount: Decimal | None = Field(sa_column=sa.Column(MONEY))
    anticipated_payment_amount: Decimal = Field(sa_column=sa.Column(MONEY, nullable=False))
    status: str | None = Field(sa_column=sa.Column(sa.Text))


def fetch(api: MerchantApi, period: Period, *, timezone: ZoneInfo) -> Fetched:
    """
    Read the anticipations whose calculation dates lie in `period`, each once.

    Items without an id are told apart as docs/ifood-api.md, section 5, says.
    """
    items: dict[tuple[Any, ...], Row] = {}
    blocks = read_calculation_blocks(api, _KIND, period, model=Anticipation, timezone=timezone)
    for block in blocks:
        # Counted from zero in each block: an item that two blocks bring is one, not a twin.
        twins: Counter[tuple[Any, ...]] = Counter()
        for row in block.rows:
            identity = tuple(row.get(column) for column in _IDENTITY)
            twins[identity] += 1
            items[*identity, twins[identity]] = row | {"ordinal": twins[identity]}
    return fetched(_KIND, items.values(), blocks)


FEED = Feed(kind=_KIND, table=AnticipationRecord, fetch=fetch)
