"""
What a puller must have stored: the world's content, whatever the faults made of the answers.

Each item is the exact JSON that the API serves last, as of the simulated today. Stores that took
their permission back have no rows.
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Literal

from ifood_simulator.entries import Entry
from ifood_simulator.merchants import Merchant
from ifood_simulator.sales import Json, money
from ifood_simulator.world import World, dumps

Kind = Literal["sales", "settlements", "anticipations"]


def truth(
    world: World, kind: Kind, merchant: Merchant, span: tuple[date, date], *, today: date
) -> bytes:
    """
    A JSON list with one object for each sale, title or anticipation.

    `{"localDay", "item"}` for sales, else `{"calculationStart", "calculationEnd", "item"}`, whose
    dates are null for a loose title.

    The span is of the sale's local days, or of calculation days as in a query by those.
    """
    begin, end = span
    match kind:
        case "sales":
            rows = world.sales(merchant, begin, end, today=today)
            parts = (b'{"localDay":"%s","item":%s}' % (str(r.day).encode(), r.body) for r in rows)
            return b"[" + b",".join(parts) + b"]"
        case "settlements":
            entries = world.settlements(merchant, begin, end, today=today)
        case "anticipations":
            entries = world.anticipations(merchant, begin, end, today=today)
    return dumps([_row(entry) for entry in entries])


def summaries(
    world: World,
    kind: Kind,
    span: tuple[date, date],
    *,
    today: date,
    revoked: Callable[[Merchant], bool],
) -> Iterator[Json]:
    """
    For each merchant: its id, rows and the exact sum of the main amount.

    The main amount is `saleGrossValue.bag`, `amount` or `anticipatedPaymentAmount`.
    """
    for merchant in world.roster:
        if revoked(merchant):
            yield {"merchant": merchant.id, "revoked": True}
            continue
        cents = _cents(world, kind, merchant, span, today=today)
        yield {"merchant": merchant.id, "rows": len(cents), "amount": money(sum(cents))}


def _cents(
    world: World, kind: Kind, merchant: Merchant, span: tuple[date, date], *, today: date
) -> list[int]:
    begin, end = span
    match kind:
        case "sales":
            return [order.bag for order in world.orders(merchant, begin, end, today=today)]
        case "settlements":
            entries = world.settlements(merchant, begin, end, today=today)
        case "anticipations":
            entries = world.anticipations(merchant, begin, end, today=today)
    return [entry.cents for entry in entries]


def _row(entry: Entry) -> Json:
    return {
        "calculationStart": None if entry.start is None else str(entry.start),
        "calculationEnd": None if entry.end is None else str(entry.end),
        "item": entry.item,
    }
