"""
Settlements: the bank titles of the closed weeks.

A title changes for weeks after its week has closed (PENDING until it is paid, a new date after a
failed payment), so each pull reads eight weeks. The API's side is in docs/ifood-api.md, section 4.
"""

from collections import Counter
from datetime import date
from decimal import Decimal
from hashlib import sha256
from zoneinfo import ZoneInfo

import pydantic
import sqlalchemy as sa
from sqlmodel import Field

from ifood_actors.feeds.calculation_periods import fetched, read_calculation_blocks
from ifood_actors.feeds.exact_json import canonical
from ifood_actors.feeds.feed import Feed
from ifood_actors.feeds.field_types import Day, Key, Maybe, Money, Text
from ifood_actors.feeds.items import IfoodModel
from ifood_actors.feeds.records import MONEY, Fetched, Record, Row
from ifood_actors.ifood.http import MerchantApi
from ifood_actors.kinds import KINDS
from ifood_actors.spans import Period

_KIND = KINDS["settlements_weekly"]


class SettlementTitle(IfoodModel):
    """One bank title; `amount` is signed, in BRL (docs/ifood-api.md, section 4)."""

    # Some titles come without one.
    title_id: Key | None = pydantic.Field(None, alias="id")
    type: Key
    product: Text | None = None
    amount: Money
    status: Text | None = None
    transaction_id: Text | None = None
    payment_date: Maybe[Day] = None


class SettlementRecord(Record, table=True):
    __tablename__ = _KIND.table
    __table_args__ = (
        sa.UniqueConstraint("merchant_id", "title_id"),
        sa.Index(None, "merchant_id", "covered_from"),
    )
    natural_key = ("merchant_id", "title_id")

    title_id: str = Field(sa_column=sa.Column(sa.Text, nullable=False))
    type: str = Field(sa_column=sa.Column(sa.Text, nullable=False))
    product: str | None = Field(sa_column=sa.Column(sa.Text))
    amount: Decimal = Field(sa_column=sa.Column(MONEY, nullable=False))
    status: str | None = Field(sa_column=sa.Column(sa.Text))
    transaction_id: str | None = Field(sa_column=sa.Column(sa.Text))
    payment_date: date | None = Field(sa_column=sa.Column(sa.Date))
    calculation_start: date | None = Field(sa_column=sa.Column(sa.Date))
    calculation_end: date | None = Field(sa_column=sa.Column(sa.Date))


def fetch(api: MerchantApi, period: Period, *, timezone: ZoneInfo) -> Fetched:
    """
    Read the titles whose calculation dates lie in `period`, each once.

    How they are told apart is in docs/ifood-api.md, section 4.
    """
    titles: dict[str, Row] = {}
    lines: dict[str, tuple[str, Decimal]] = {}
    blocks = read_calculation_blocks(api, _KIND, period, model=SettlementTitle, timezone=timezone)
    for block in blocks:
        twins: Counter[str] = Counter()
        for row in block.rows:
            title_id = _identity(row, lines=lines, twins=twins)
            titles[title_id] = _merged(titles.get(title_id), row | {"title_id": title_id})
    return fetched(_KIND, titles.values(), blocks)


def _identity(row: Row, *, lines: dict[str, tuple[str, Decimal]], twins: Counter[str]) -> str:
    """
    Give the id that the title is stored under; no two money lines of a pull share one.

    `lines` remembers which line holds an id, `twins` counts equal titles without id in an answer.
    """
    line = (row["type"], row["amount"])
    given: str | None = row.get("title_id")
    if not given:
        # Nothing in here changes when the title is paid, refused or moved to another day.
        days = (row["calculation_start"], row["calculation_end"])
        parts = canonical([*line, row.get("product"), *days])
        twins[parts] += 1
        return "derived:" + sha256(f"{parts}#{twins[parts]}".encode()).hexdigest()
    if lines.setdefault(given, line) == line:
        return given
    # The id is the balance's, and a balance that is split may show in several titles.
    return f"{given}:{row['type']}:{row['amount']}"


def _merged(known: Row | None, row: Row) -> Row:
    """Choose between two sights of one title: the dated one, else the later one."""
    if known is None or row["calculation_start"]:
        return row
    if known["calculation_start"]:
        return known
    # Loose in both blocks: it is gone only when both were read and neither brought it.
    return row | {"covered_from": min(known["covered_from"], row["covered_from"])}


FEED = Feed(kind=_KIND, table=SettlementRecord, fetch=fetch)
