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
from ifood_actors.feeds.records import MONEY, Fetched, OddItem, Record, Row, columns_of
from ifood_actors.feeds.rejected import odd_item
from ifood_actors.ifood.http.client import MerchantApi
from ifood_actors.ifood.http.schemas import Sale, SaleHead, SalesPage, envelopes, parse, parse_item
from ifood_actors.planning.cadence import SALES_BLOCK_DAYS, Period

# 20,000 sales in a week: no store has them, an endless list does.
_MAX_PAGES = 200
# iFood counts a sale to its merchant's local day. Where that zone is not named, ours is hours off.
_LEEWAY = timedelta(days=1)


class SaleRecord(Record, table=True):
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
    items: dict[str, Row | OddItem] = {}
    complete = True
    read = partial(_read, api, timezone=timezone)
    for reading in read_blocks(read, period, largest=SALES_BLOCK_DAYS, smallest=1):
        items |= reading.items
        complete &= reading.complete
    rows = [item for item in items.values() if not isinstance(item, OddItem)]
    bags = [row.get("sale_gross_value_bag", Decimal(0)) for row in rows]
    return Fetched(
        tuple(rows),
        amount=sum(bags, Decimal(0)),
        complete=complete,
        rejected=tuple(item for item in items.values() if isinstance(item, OddItem)),
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """
    The sales of a block by their ids, those that cannot be read included.

    `complete` is False when some may have slipped past; `announces_only` is True of a list that
    counts sales and shows none.
    """

    items: dict[str, Row | OddItem]
    complete: bool
    announces_only: bool


def _read(api: MerchantApi, block: Period, *, timezone: ZoneInfo) -> _Reading:
    """
    Read one block, and once more if its list moved meanwhile.

    A sale that leaves a page already read pulls another one over from the next page, unseen. What
    either reading brought is kept; nothing can have slipped past when the second one stood still
    and brought all that the first did. Raises SchemaBroken when both show none of the sales that
    they announce.
    """
    first = _read_pages(api, block, timezone=timezone)
    if first.complete and not first.announces_only:
        return first
    second = _read_pages(api, block, timezone=timezone)
    if first.announces_only and second.announces_only:
        raise SchemaBroken("sales: page 1 announces sales and shows none, twice in a row")
    complete = second.complete and first.items.keys() <= second.items.keys()
    return _Reading(first.items | second.items, complete, announces_only=False)


def _read_pages(api: MerchantApi, block: Period, *, timezone: ZoneInfo) -> _Reading:
    """
    Read page after page to the end of the list.

    The list stood still when every page announced the same counts and the last page announced
    was the last. Against the sales given the counts are not checked: `total` is wrong at times.
    A page that brings nothing new ends the list, because some answer every page with the first.
    Raises SchemaBroken for an endless list: to cut it silently would lose sales.
    """
    items: dict[str, Row | OddItem] = {}
    announced, counts = 0, []
    for number in range(1, _MAX_PAGES + 1):
        pages = _pages(api, block, number)
        counts += [(page.page_count, page.total) for page in pages]
        announced = max((page.page_count or 0 for page in pages), default=0) or announced
        known = len(items)
        # A sale that moved to a later page while the list was read is newer there.
        items |= _items(pages, api, block, timezone)
        if len(items) == known or 0 < announced <= number:
            stood_still = all(count == counts[0] for count in counts)
            announces_only = not items and any(page.announces_sales for page in pages)
            return _Reading(items, stood_still and number >= announced, announces_only)
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


def _items(
    pages: list[SalesPage], api: MerchantApi, block: Period, timezone: ZoneInfo
) -> dict[str, Row | OddItem]:
    items: dict[str, Row | OddItem] = {}
    for raw in chain.from_iterable(page.sales or [] for page in pages):
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
    if merchant:
        refuse_other_merchant(merchant.id, asked=api.merchant_id)
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


SALES = Feed(
    kind="sales", resource="sales", table=SaleRecord, fetch=fetch, block_days=SALES_BLOCK_DAYS
)
