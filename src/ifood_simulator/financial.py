"""
The three Financial endpoints.

Spans (measured in production by others): sales answer 400 over 8 days, settlements and
anticipations answer 200 with an empty list over 31. `x-request-homologation: true` brings iFood's
test data, which lifts the span of sales and holds no title.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial

from ifood_simulator import answers
from ifood_simulator.answers import Answer, Refusal, bad_request
from ifood_simulator.entries import Entry
from ifood_simulator.gate import Call
from ifood_simulator.merchants import Merchant
from ifood_simulator.orders import Order
from ifood_simulator.parameters import Span, length, one_pair_of, span_of, whole_number
from ifood_simulator.sales import Json, money, sale
from ifood_simulator.world import By, ServedSale, TrueRow, World, dumps

_CALCULATION = ("beginCalculationDate", "endCalculationDate")
_PAYMENT = ("beginPaymentDate", "endPaymentDate")
_ANTICIPATED = ("beginAnticipatedPaymentDate", "endAnticipatedPaymentDate")
_BY: tuple[By, By] = ("calculation", "payment")
_LONGEST_SALES, _LONGEST = 8, 31
_TEST_DAY = date(2025, 8, 1)
_A_YEAR = timedelta(weeks=52)


def sales(call: Call) -> Answer:
    merchant = call.merchant()
    query = call.request.query_params
    span = span_of(("beginSalesDate", "endSalesDate"), query)
    page = whole_number("page", query, 1)
    if _homologation(call) or _whose(call) == "both":
        return _test_sale(call, merchant)
    if length(span) > _LONGEST_SALES:
        raise Refusal(bad_request(f"The period must not exceed {_LONGEST_SALES} days"))
    merchant, span = _answered(call, merchant, span)
    rows = [] if call.suffers("silent_empty") else _sold(call, merchant, span)
    size = call.simulation.settings.sales_page_size
    pages = -(-len(rows) // size)
    if call.suffers("repeat_pages") and pages:
        asked, page, pages = page, min(page, pages), page + 1
        return _sales_page(call, merchant, span, rows=rows, page=page, shown=(asked, pages))
    if not rows and page == 1:
        return _no_sales(call, merchant, span)
    if not 1 <= page <= pages:
        raise Refusal(bad_request(f"Invalid page. pageCount = {pages}"))
    return _sales_page(call, merchant, span, rows=rows, page=page, shown=(page, pages))


def settlements(call: Call) -> Answer:
    merchant = call.merchant()
    place, span = one_pair_of((_CALCULATION, _PAYMENT), call.request.query_params)
    if _homologation(call) and length(span) > _LONGEST:
        return answers.SERVER_ERROR
    merchant, span = _answered(call, merchant, span)
    entries = _shown(call, call.simulation.world.settlements, merchant, span, by=_BY[place])
    envelope = _titles_envelope(call, merchant, span, entries)
    if entries or _hidden(call, span):
        return _enveloped(merchant, dumps(envelope))
    missing = answers.error(404, "NO_SETTLEMENTS_FOUND", "No settlements found for the period")
    return _nothing(merchant, missing, envelope, name="settlements")


def anticipations(call: Call) -> Answer:
    merchant = call.merchant()
    place, span = one_pair_of((_CALCULATION, _ANTICIPATED), call.request.query_params)
    merchant, span = _answered(call, merchant, span)
    missing = answers.error(404, "404", "No anticipations found for the period")
    if merchant.plan is None and not _homologation(call) and not call.suffers("silent_empty"):
        return missing
    entries = _shown(call, call.simulation.world.anticipations, merchant, span, by=_BY[place])
    envelope: Json = {
        "beginDate": str(span[0]),
        "endDate": str(span[1]),
        "balance": money(sum(entry.cents for entry in entries)),
        "merchantId": merchant.id,
        "settlements": _periods(entries),
    }
    if entries or _hidden(call, span):
        return _enveloped(merchant, dumps(envelope))
    return _nothing(merchant, missing, envelope, name="settlements")


def true_sales(
    world: World, merchant: Merchant, begin: date, end: date, *, today: date
) -> Iterator[TrueRow]:
    """Give the sales of those local days that the API shows by the end of `today`."""
    for order in world.orders(merchant, begin, end, today=today):
        yield TrueRow(order.bag, partial(_true_sale, order, merchant, today))


def true_settlements(
    world: World, merchant: Merchant, begin: date, end: date, *, today: date
) -> Iterator[TrueRow]:
    """Give the titles that a query by those calculation days returns."""
    for entry in world.settlements(merchant, begin, end, today=today):
        yield TrueRow(entry.cents, partial(_true_entry, entry))


def true_anticipations(
    world: World, merchant: Merchant, begin: date, end: date, *, today: date
) -> Iterator[TrueRow]:
    """Give the anticipations that a query by those calculation days returns."""
    for entry in world.anticipations(merchant, begin, end, today=today):
        yield TrueRow(entry.cents, partial(_true_entry, entry))


def _true_sale(order: Order, merchant: Merchant, today: date) -> bytes:
    return dumps({"localDay": str(order.day), "item": sale(order, merchant, today=today)})


def _true_entry(entry: Entry) -> bytes:
    return dumps(
        {
            "calculationStart": None if entry.start is None else str(entry.start),
            "calculationEnd": None if entry.end is None else str(entry.end),
            "item": entry.item,
        }
    )


def _homologation(call: Call) -> bool:
    return call.request.headers.get("x-request-homologation") == "true"


def _whose(call: Call) -> str | None:
    """What is foreign in this answer: both the merchant and the days, or one of them."""
    return call.fault.whose if call.fault and call.suffers("foreign") else None


def _answered(call: Call, merchant: Merchant, span: Span) -> tuple[Merchant, Span]:
    """Whose data is given, of which days; not what was asked for when the answer is foreign."""
    whose = _whose(call)
    if whose in ("both", "merchant"):
        merchant = _other_than(call, merchant)
    if whose in ("both", "days"):
        span = span[0] - _A_YEAR, span[1] - _A_YEAR
    return merchant, span


def _other_than(call: Call, merchant: Merchant) -> Merchant:
    roster = call.simulation.world.roster
    return roster.at((merchant.index + 1) % len(roster))


def _hidden(call: Call, span: Span) -> bool:
    """Whether the answer is a 200 with an empty list, even where there is data."""
    return length(span) > _LONGEST or _homologation(call)


def _shown(
    call: Call, find: Callable[..., list[Entry]], merchant: Merchant, span: Span, *, by: By
) -> list[Entry]:
    """What there is; where nothing is shown, nothing is looked for: a span may be of centuries."""
    if _hidden(call, span) or call.suffers("silent_empty"):
        return []
    entries = find(merchant, *span, today=call.today, by=by)
    return entries[:-1] if call.suffers("omit") else entries


def _sold(call: Call, merchant: Merchant, span: Span) -> list[ServedSale]:
    rows = call.simulation.world.sales(merchant, *span, today=call.today)
    return rows[:-1] if call.suffers("omit") else rows


def _sales_page(
    call: Call,
    merchant: Merchant,
    span: Span,
    *,
    rows: list[ServedSale],
    page: int,
    shown: tuple[int, int],
) -> Answer:
    """`page` is the one that is given, `shown` what the envelope says: its number and the count."""
    size = call.simulation.settings.sales_page_size
    first = (page - 1) * size
    # The list has moved between two pages: its last row comes once more.
    again = 1 if merchant.repeats_row and first else 0
    part = rows[first - again : first + size]
    head = {
        "page": shown[0],
        "size": len(part) if merchant.size_is_rows else size,
        "beginSalesDate": str(span[0]),
        "endSalesDate": str(span[1]),
        "total": len(rows) + (1 if merchant.total_off else 0),
        "pageCount": shown[1],
    }
    listed = b",".join(row.body for row in part)
    return _enveloped(merchant, dumps(head)[:-1] + b',"sales":[' + listed + b"]}")


def _no_sales(call: Call, merchant: Merchant, span: Span) -> Answer:
    begin, end = map(str, span)
    envelope: Json = {
        "page": 1,
        "size": 0 if merchant.size_is_rows else call.simulation.settings.sales_page_size,
        "beginSalesDate": begin,
        "endSalesDate": end,
        "total": 0,
        "pageCount": 0,
    }
    missing = answers.error(404, "404", f"No sales found between {begin} and {end}")
    return _nothing(merchant, missing, envelope, name="sales")


def _test_sale(call: Call, merchant: Merchant) -> Answer:
    """The fixed test data: one sale of another store and period, and a total of two."""
    at = datetime(2025, 8, 1, 22, 41, 7, 512_000, tzinfo=UTC)
    order = Order(
        id="9a1f0f6e-55c6-4d0c-8a6e-2f1f5d9c0a01",
        number=1,
        day=_TEST_DAY,
        at=at,
        bag=6290,
        delivery_fee=799,
        service_fee=99,
        paid_by_ifood=600,
        paid_by_store=400,
        cancelled=False,
        days_late=0,
        refund=0,
        refund_after=0,
        noise=1,
    )
    other = _other_than(call, merchant)
    envelope = {
        "page": 1,
        "size": 1,
        "beginSalesDate": str(_TEST_DAY),
        "endSalesDate": str(_TEST_DAY),
        "total": 2,
        "pageCount": 2,
        "sales": [sale(order, other, today=date(2025, 8, 2))],
    }
    return Answer(200, dumps(envelope))


def _titles_envelope(call: Call, merchant: Merchant, span: Span, entries: list[Entry]) -> Json:
    paid_out = sum(e.cents for e in entries if e.item["type"] == "REPASSE")
    stores = call.simulation.world.roster.settled_with(merchant)
    loose = [entry.item for entry in entries if entry.start is None]
    envelope: Json = {
        "beginDate": str(span[0]),
        "endDate": str(span[1]),
        "balance": 0 if merchant.balance_zero else money(paid_out),
        "merchantId": merchant.id,
        "settlements": _periods([entry for entry in entries if entry.start is not None]) + loose,
    }
    if len(stores) > 1 or not merchant.old_spelling:
        envelope["consolidatedMerchants"] = [store.id for store in stores]
    return envelope


def _periods(entries: list[Entry]) -> list[Json]:
    items: dict[tuple[str, str], list[Json]] = {}
    for entry in entries:
        items.setdefault((str(entry.start), str(entry.end)), []).append(entry.item)
    return [
        {"startDateCalculation": start, "endDateCalculation": end, "closingItems": closing}
        for (start, end), closing in items.items()
    ]


def _enveloped(merchant: Merchant, body: bytes) -> Answer:
    return Answer(200, b"[" + body + b"]" if merchant.array_envelope else body)


def _nothing(merchant: Merchant, missing: Answer, envelope: Json, *, name: str) -> Answer:
    """Nothing, with the face that it has at this store; the list is called `name`."""
    listed = _enveloped(merchant, dumps({**envelope, name: []})).body
    unlisted = _enveloped(merchant, dumps({**envelope, name: None})).body
    return answers.nothing(merchant.empty, missing=missing, listed=listed, unlisted=unlisted)
