"""
What a client must have stored: the world's content, no matter what faults did to the answers.

Each item is the exact JSON that the API serves last, as of the simulated today. Stores that took
their permission back have no rows. `endpoints.TRUTHS` has the kinds.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import date
from itertools import islice

from ifood_simulator.endpoints import TRUTHS, Truth
from ifood_simulator.merchants import Merchant
from ifood_simulator.sales import Json, money
from ifood_simulator.simulation import Simulation
from ifood_simulator.world import World


def truth(
    world: World, kind: str, merchant: Merchant, span: tuple[date, date], *, today: date
) -> bytes:
    """
    Return a JSON list with one object for each sale, title or anticipation.

    `{"localDay", "item"}` for sales, else `{"calculationStart", "calculationEnd", "item"}`, whose
    dates are null for a loose title. The span is of the sale's local days, or of calculation days
    as in a query by those. Raises ValueError for an unknown kind.
    """
    rows = _true_rows(kind)(world, merchant, *span, today=today)
    return b"[" + b",".join(row.body() for row in rows) + b"]"


def summaries(
    world: World,
    kind: str,
    span: tuple[date, date],
    *,
    today: date,
    revoked: Callable[[Merchant], bool],
) -> Iterator[Json]:
    """
    Give for each merchant its id, its rows and the exact sum of the main amount.

    The main amount is `saleGrossValue.bag`, `amount` or `anticipatedPaymentAmount`. Raises
    ValueError for an unknown kind.
    """
    true_rows = _true_rows(kind)
    for merchant in world.roster:
        if revoked(merchant):
            yield {"merchant": merchant.id, "revoked": True}
            continue
        cents = [row.cents for row in true_rows(world, merchant, *span, today=today)]
        yield {"merchant": merchant.id, "rows": len(cents), "amount": money(sum(cents))}


def truth_of(simulation: Simulation, kind: str, merchant: str, span: tuple[date, date]) -> bytes:
    """Return `truth` of one store as of now; raises ValueError for an unknown kind or merchant."""
    found = simulation.merchant(merchant)
    if simulation.revoked(found):
        return b"[]"
    return truth(simulation.world, kind, found, span, today=simulation.today)


async def summary_of(simulation: Simulation, kind: str, span: tuple[date, date]) -> list[Json]:
    """Return the `summaries` of all stores as of now; requests are answered in between."""
    lines = summaries(
        simulation.world, kind, span, today=simulation.today, revoked=simulation.revoked
    )
    collected: list[Json] = []
    while handful := list(islice(lines, 20)):
        collected += handful
        await asyncio.sleep(0)
    return collected


def _true_rows(kind: str) -> Truth:
    if kind not in TRUTHS:
        raise ValueError(f"unknown kind {kind!r}")
    return TRUTHS[kind]
