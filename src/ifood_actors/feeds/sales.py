"""
Sales: the orders of a store, by their local day.

A sale grows for weeks (status, billing, refunds), so a day is read again and again. The list is
paged and may move while it is read. The API's side is in docs/ifood-api.md, section 3.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from http import HTTPStatus
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

import pydantic
import sqlalchemy as sa
from sqlmodel import Field

from ifood_actors.errors import Foreign, Rejected, SchemaBroken
from ifood_actors.feeds.blocks import read_blocks
from ifood_actors.feeds.feed import Feed
from ifood_actors.feeds.field_types import (
    Count,
    DayHint,
    Instant,
    Key,
    Maybe,
    Money,
    Text,
    TextHint,
)
from ifood_actors.feeds.foreign import is_other_merchant, refuse_other_days
from ifood_actors.feeds.items import IfoodModel, Items, envelopes, parse, parse_item
from ifood_actors.feeds.moving_lists import ListPage, ListReading, read_list
from ifood_actors.feeds.records import MONEY, Fetched, OddItem, Record, Row, columns_of
from ifood_actors.feeds.rejected import odd_item
from ifood_actors.ifood.http import MerchantApi
from ifood_actors.kinds import KINDS
from ifood_actors.spans import Period

_KIND = KINDS["sales"]

# iFood counts a sale to its merchant's local day. Where that zone is not named, ours is hours off.
_LEEWAY = timedelta(days=1)


class Merchant(IfoodModel):
    # No column: every record has the id that was asked for.
    id: TextHint = pydantic.Field(None, exclude=True)
    short_id: Text | None = None
    name: Text | None = None
    type: Text | None = None
    timezone: Text | None = None


class SaleGrossValue(IfoodModel):
    bag: Money
    delivery_fee: Maybe[Money] = None
    service_fee: Maybe[Money] = None


class Benefits(IfoodModel):
    total_value: Maybe[Money] = None


class InformationProvider(IfoodModel):
    name: Text | None = None


class DeliveryParameters(IfoodModel):
    logistic_provider: Text | None = None
    delivery_product: Text | None = None
    code: Text | None = None
    scheduling_type: Text | None = None


class DeliveryPrices(IfoodModel):
    gross_value: Maybe[Money] = None
    discount: Maybe[Money] = None
    net_value: Maybe[Money] = None


class Delivery(IfoodModel):
    type: Text | None = None
    information_provider: Maybe[InformationProvider] = None
    delivery_parameters: Maybe[DeliveryParameters] = None
    prices: Maybe[DeliveryPrices] = None


class BillingSummary(IfoodModel):
    sale_balance: Maybe[Money] = None


class SaleHead(IfoodModel):
    """Whose sale it is, and when it was made."""

    created_at: Instant
    merchant: Maybe[Merchant] = None


class Sale(SaleHead):
    """
    One order, as at the moment of the call (docs/ifood-api.md, section 3).

    Its lists (payments, benefits, billing entries, status history, events) stay in the raw item:
    each may have several members, and a column for the first would hide the others.
    """

    sale_id: Key = pydantic.Field(alias="id", min_length=1)
    short_id: Text | None = None
    type: Text | None = None
    category: Text | None = None
    sales_channel: Text | None = None
    current_status: Text | None = None
    sale_gross_value: Maybe[SaleGrossValue] = None
    benefits: Maybe[Benefits] = None
    delivery: Maybe[Delivery] = None
    # One copy of iFood's guide has lost an "m".
    billing_summary: Maybe[BillingSummary] = pydantic.Field(
        None, validation_alias=pydantic.AliasChoices("billingSummary", "billingSumary")
    )


class SalesPage(IfoodModel):
    """
    One page of sales.

    `total` and `size` are wrong at times (docs/ifood-api.md, section 3): the one is compared
    between pages only, the other is not read.
    """

    begin_sales_date: DayHint = None
    end_sales_date: DayHint = None
    page_count: Maybe[Count] = None
    total: Any = None
    sales: Items | None

    @property
    def announces_sales(self) -> bool:
        """Whether it counts sales; one page alone may be the empty one."""
        total = str(self.total)
        return (total.isdecimal() and bool(total.strip("0"))) or (self.page_count or 0) > 1


class SaleRecord(Record, table=True):
    __tablename__ = _KIND.table
    __table_args__ = (
        sa.UniqueConstraint("merchant_id", "sale_id"),
        sa.Index(None, "merchant_id", "covered_from"),
    )
    natural_key = ("merchant_id", "sale_id")

    sale_id: str = Field(sa_column=sa.Column(sa.Text, nullable=False))
    # The day in the merchant's zone; a sale of 01:30 UTC belongs to the day before.
    sale_day: date = Field(sa_column=sa.Column(sa.Date, nullable=False))
    short_id: str | None = Field(sa_column=sa.Column(sa.Text))
    created_at: datetime = Field(sa_column=sa.Column(sa.DateTime(timezone=True), nullable=False))
    type: str | None = Field(sa_column=sa.Column(sa.Text))
    category: str | None = Field(sa_column=sa.Column(sa.Text))
    sales_channel: str | None = Field(sa_column=sa.Column(sa.Text))
    current_status: str | None = Field(sa_column=sa.Column(sa.Text))
    merchant_short_id: str | None = Field(sa_column=sa.Column(sa.Text))
    merchant_name: str | None = Field(sa_column=sa.Column(sa.Text))
    merchant_type: str | None = Field(sa_column=sa.Column(sa.Text))
    merchant_timezone: str | None = Field(sa_column=sa.Column(sa.Text))
    sale_gross_value_bag: Decimal | None = Field(sa_column=sa.Column(MONEY))
    sale_gross_value_delivery_fee: Decimal | None = Field(sa_column=sa.Column(MONEY))
    sale_gross_value_service_fee: Decimal | None = Field(sa_column=sa.Column(MONEY))
    benefits_total_value: Decimal | None = Field(sa_column=sa.Column(MONEY))
    delivery_type: str | None = Field(sa_column=sa.Column(sa.Text))
    delivery_information_provider_name: str | None = Field(sa_column=sa.Column(sa.Text))
    delivery_delivery_parameters_logistic_provider: str | None = Field(sa_column=sa.Column(sa.Text))
    delivery_delivery_parameters_delivery_product: str | None = Field(sa_column=sa.Column(sa.Text))
    delivery_delivery_parameters_code: str | None = Field(sa_column=sa.Column(sa.Text))
    delivery_delivery_parameters_scheduling_type: str | None = Field(sa_column=sa.Column(sa.Text))
    delivery_prices_gross_value: Decimal | None = Field(sa_column=sa.Column(MONEY))
    delivery_prices_discount: Decimal | None = Field(sa_column=sa.Column(MONEY))
    delivery_prices_net_value: Decimal | None = Field(sa_column=sa.Column(MONEY))
    billing_summary_sale_balance: Decimal | None = Field(sa_column=sa.Column(MONEY))


def fetch(api: MerchantApi, period: Period, *, timezone: ZoneInfo) -> Fetched:
    """
    Read the sales of the local days in `period`, each once.

    `timezone` counts for sales that do not name their merchant's. Spans, pages and days follow
    docs/ifood-api.md, sections 2 and 3.
    """
    items: dict[str, Row | OddItem] = {}
    complete = True
    read = partial(_read, api, timezone=timezone)
    for reading in read_blocks(read, period, largest=_KIND.block_days, smallest=1):
        items |= reading.items
        complete &= reading.complete
    rows = [item for item in items.values() if not isinstance(item, OddItem)]
    return Fetched(
        tuple(rows),
        amount=_KIND.amount.of(rows),
        complete=complete,
        rejected=tuple(item for item in items.values() if isinstance(item, OddItem)),
    )


def _read(api: MerchantApi, block: Period, *, timezone: ZoneInfo) -> ListReading:
    def page(number: int) -> ListPage:
        parts = _envelopes(api, block, number)
        return ListPage(
            _items(parts, api, block, timezone),
            counts=[(part.page_count, part.total) for part in parts],
            announced=max((part.page_count or 0 for part in parts), default=0),
            announces_items=any(part.announces_sales for part in parts),
        )

    return read_list(page, name=_KIND.resource, days=_KIND.block_days)


def _envelopes(api: MerchantApi, block: Period, number: int) -> list[SalesPage]:
    """Give the envelopes of a page: one, or none after the last page."""
    days = {"beginSalesDate": block.start.isoformat(), "endSalesDate": block.end.isoformat()}
    try:
        answer = api.get(_KIND.resource, {**days, "page": str(number)})
    except Rejected as error:
        # How iFood says that a list has fewer pages, for example since it was counted.
        past_the_end = number > 1 and "invalid page" in str(error).lower()
        if past_the_end and error.status == HTTPStatus.BAD_REQUEST:
            return []
        raise
    parts = [parse(SalesPage, envelope) for envelope in envelopes(answer)]
    for part in parts:
        # An empty page has no sales that tell whose it is.
        if not part.sales:
            _refuse_other_days(part.begin_sales_date, part.end_sales_date, asked=block)
    return parts


def _items(
    parts: list[SalesPage], api: MerchantApi, block: Period, timezone: ZoneInfo
) -> dict[str, Row | OddItem]:
    items: dict[str, Row | OddItem] = {}
    for raw in chain.from_iterable(part.sales or [] for part in parts):
        try:
            sale = parse_item(Sale, raw)
        except SchemaBroken as fault:
            odd = _odd(raw, fault, api=api, block=block, timezone=timezone)
            items[odd.key] = odd
            continue
        day = _day_of_ours(sale, api=api, block=block, timezone=timezone)
        days = {"sale_day": day, "covered_from": day, "covered_to": day}
        items[sale.sale_id] = columns_of(sale) | days | {"raw": raw}
    return items


def _odd(
    raw: object, fault: SchemaBroken, *, api: MerchantApi, block: Period, timezone: ZoneInfo
) -> OddItem:
    try:
        head = parse(SaleHead, raw)
    except SchemaBroken:
        return odd_item(raw, fault, first=block.start, last=block.end)
    day = _day_of_ours(head, api=api, block=block, timezone=timezone)
    return odd_item(raw, fault, first=day, last=day)


def _day_of_ours(sale: SaleHead, *, api: MerchantApi, block: Period, timezone: ZoneInfo) -> date:
    """Give the sale's local day. Raises Foreign when it is none of those that were asked for."""
    merchant = sale.merchant
    if merchant and is_other_merchant(merchant.id, asked=api.merchant_id):
        raise Foreign("an item belongs to another merchant than the one that was asked for")
    zone = (_zone(merchant.timezone) if merchant and merchant.timezone else None) or timezone
    day = sale.created_at.astimezone(zone).date()
    _refuse_other_days(day, day, asked=block)
    return day


_refuse_other_days = partial(refuse_other_days, leeway=_LEEWAY)


@lru_cache(maxsize=100)
def _zone(name: str) -> ZoneInfo | None:
    """Look a zone up, POSIX style as `Etc/GMT+3` (that is UTC-3) included."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no name at all, or a folder of zones
        return None


FEED = Feed(kind=_KIND, table=SaleRecord, fetch=fetch)
