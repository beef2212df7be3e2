"""
Sales: the orders of a store, by their local day.

A sale grows for weeks (status, billing, refunds), so a day is read again and again. The list is
paged and may move while it is read. The API's side is in docs/ifood-api.md, section 3.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache, partial
from http import HTTPStatus
from itertools import chain
from zoneinfo import ZoneInfo

from sqlalchemy import Column, Date, DateTime, Index, Text, UniqueConstraint
from sqlmodel import Field

from ifood_actors.errors import Rejected, SchemaBroken
from ifood_actors.feeds.blocks import read_blocks
from ifood_actors.feeds.feed import Feed
from ifood_actors.feeds.foreign import refuse_other_days, refuse_other_merchant
from ifood_actors.feeds.records import MONEY, Fetched, Record, Row, columns_of
from ifood_actors.ifood.client import MerchantApi
from ifood_actors.ifood.schemas import Sale as SaleItem
from ifood_actors.ifood.schemas import SalesPage, envelopes, parse
from ifood_actors.planning.cadence import SALES_BLOCK_DAYS, Period

# 20,000 sales in a week: no store has them, an endless list does.
_MAX_PAGES = 200
# iFood counts a sale to its merchant's local day. Where that zone is not named, ours is hours off.
_LEEWAY = timedelta(days=1)


class Sale(Record, table=True):
    __tablename__ = "ifood_sales"
    __table_args__ = (
        UniqueConstraint("merchant_id", "sale_id"),
        Index(None, "merchant_id", "covered_from"),
    )
    natural_key = ("merchant_id", "sale_id")

    sale_id: str = Field(sa_column=Column(Text, nullable=False))
    # The day in the merchant's zone; a sale of 01:30 UTC belongs to the day before.
    sale_day: date = Field(sa_column=Column(Date, nullable=False))
    short_id: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    type: str | None = Field(sa_column=Column(Text))
    category: str | None = Field(sa_column=Column(Text))
    sales_channel: str | None = Field(sa_column=Column(Text))
    current_status: str | None = Field(sa_column=Column(Text))
    merchant_short_id: str | None = Field(sa_column=Column(Text))
    merchant_name: str | None = Field(sa_column=Column(Text))
    merchant_type: str | None = Field(sa_column=Column(Text))
    merchant_timezone: str | None = Field(sa_column=Column(Text))
    sale_gross_value_bag: Decimal | None = Field(sa_column=Column(MONEY))
    sale_gross_value_delivery_fee: Decimal | None = Field(sa_column=Column(MONEY))
    sale_gross_value_service_fee: Decimal | None = Field(sa_column=Column(MONEY))
    benefits_total_value: Decimal | None = Field(sa_column=Column(MONEY))
    delivery_type: str | None = Field(sa_column=Column(Text))
    delivery_information_provider_name: str | None = Field(sa_column=Column(Text))
    delivery_delivery_parameters_logistic_provider: str | None = Field(sa_column=Column(Text))
    delivery_delivery_parameters_delivery_product: str | None = Field(sa_column=Column(Text))
    delivery_delivery_parameters_code: str | None = Field(sa_column=Column(Text))
    delivery_delivery_parameters_scheduling_type: str | None = Field(sa_column=Column(Text))
    delivery_prices_gross_value: Decimal | None = Field(sa_column=Column(MONEY))
    delivery_prices_discount: Decimal | None = Field(sa_column=Column(MONEY))
    delivery_prices_net_value: Decimal | None = Field(sa_column=Column(MONEY))
    billing_summary_sale_balance: Decimal | None = Field(sa_column=Column(MONEY))


def fetch(api: MerchantApi, period: Period, *, timezone: ZoneInfo) -> Fetched:
    """
    Read the sales of the local days in `period`, each once.

    `timezone` counts for sales that do not name their merchant's. The amount is the gross value
    of the bags, as at the moment of the call, cancelled orders included. Spans, pages and days
    follow docs/ifood-api.md, sections 2 and 3.
    """
    sales: dict[str, Row] = {}
    complete = True
    read = partial(_read, api, timezone=timezone)
    for reading in read_blocks(read, period, largest=SALES_BLOCK_DAYS, smallest=1):
        sales |= reading.sales
        complete &= reading.complete
    bags = [row.get("sale_gross_value_bag", Decimal(0)) for row in sales.values()]
    return Fetched(tuple(sales.values()), amount=sum(bags, Decimal(0)), complete=complete)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The sales of a block; `complete` is False when some may have slipped past."""

    sales: dict[str, Row]
    complete: bool


def _read(api: MerchantApi, block: Period, *, timezone: ZoneInfo) -> _Reading:
    """
    Read one block, and once more if its list moved meanwhile.

    A sale that leaves a page already read pulls another one over from the next page, unseen. What
    either reading brought is kept; nothing can have slipped past when the second one stood still
    and brought all that the first did.
    """
    first = _read_pages(api, block, timezone=timezone)
    if first.complete:
        return first
    second = _read_pages(api, block, timezone=timezone)
    complete = second.complete and first.sales.keys() <= second.sales.keys()
    return _Reading(first.sales | second.sales, complete)


def _read_pages(api: MerchantApi, block: Period, *, timezone: ZoneInfo) -> _Reading:
    """
    Read page after page to the end of the list.

    The list stood still when every page announced the same counts and the last page announced
    was the last. Against the sales given the counts are not checked: `total` is wrong at times.
    A page that brings nothing new ends the list, because some answer every page with the first.
    Raises SchemaBroken for an endless list: to cut it silently would lose sales.
    """
    sales: dict[str, Row] = {}
    announced, counts = 0, []
    for number in range(1, _MAX_PAGES + 1):
        pages = _pages(api, block, number)
        counts += [(page.page_count, page.total) for page in pages]
        announced = max((page.page_count or 0 for page in pages), default=0) or announced
        known = len(sales)
        # A sale that moved to a later page while the list was read is newer there.
        sales |= _rows(pages, api, block, timezone)
        if len(sales) == known or 0 < announced <= number:
            stood_still = all(count == counts[0] for count in counts)
            return _Reading(sales, complete=stood_still and number >= announced)
        if announced > _MAX_PAGES:
            break
    raise SchemaBroken(f"sales: more than {_MAX_PAGES} pages in {SALES_BLOCK_DAYS} days")


def _pages(api: MerchantApi, block: Period, number: int) -> list[SalesPage]:
    """Give the envelopes of a page: one, or none after the last page."""
    days = {"beginSalesDate": block.start.isoformat(), "endSalesDate": block.end.isoformat()}
    try:
        answer = api.get("sales", {**days, "page": str(number)})
    except Rejected as error:
        # How iFood says that a list has fewer pages, for example since it was counted.
        past_the_end = number > 1 and "invalid page" in str(error).lower()
        if past_the_end and error.status == HTTPStatus.BAD_REQUEST:
            return []
        raise
    pages = [parse(SalesPage, envelope) for envelope in envelopes(answer)]
    for page in pages:
        # An empty page has no sales that tell whose it is.
        if not page.sales:
            _refuse_other_days(page.begin_sales_date, page.end_sales_date, asked=block)
    return pages


def _rows(
    pages: list[SalesPage], api: MerchantApi, block: Period, timezone: ZoneInfo
) -> dict[str, Row]:
    rows = {}
    for item in chain.from_iterable(page.sales or [] for page in pages):
        sale = parse(SaleItem, item)
        day = _day(sale, timezone)
        if sale.merchant:
            refuse_other_merchant(sale.merchant.id, asked=api.merchant_id)
        _refuse_other_days(day, day, asked=block)
        days = {"sale_day": day, "covered_from": day, "covered_to": day}
        rows[sale.sale_id] = columns_of(sale) | days | {"raw": item}
    return rows


def _day(sale: SaleItem, timezone: ZoneInfo) -> date:
    named = sale.merchant.timezone if sale.merchant else None
    zone = (_zone(named) if named else None) or timezone
    return sale.created_at.astimezone(zone).date()


_refuse_other_days = partial(refuse_other_days, leeway=_LEEWAY)


@lru_cache(maxsize=100)
def _zone(name: str) -> ZoneInfo | None:
    """Look a zone up, POSIX style as `Etc/GMT+3` (that is UTC-3) included."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no name at all, or a folder of zones
        return None


SALES = Feed(kind="sales", table=Sale, fetch=fetch, block_days=SALES_BLOCK_DAYS)
