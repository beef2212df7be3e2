"""
The whole simulated world as a function: seed and settings, a merchant, a range of dates, a today.

Nothing here does I/O and nothing is generated before it is asked for. The same functions feed the
API's answers and the truth that a puller's records are compared with.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal

import simplejson

from ifood_simulator.anticipations import anticipations_of
from ifood_simulator.entries import Entry, days, mondays
from ifood_simulator.merchants import Merchant, Roster
from ifood_simulator.orders import Order, orders_of
from ifood_simulator.sales import sale
from ifood_simulator.settings import Settings
from ifood_simulator.settlements import titles_of

By = Literal["calculation", "payment"]

_KEPT_DAYS = 4_096
"""Days of sales whose bytes are kept; about 25 MB at three sales a day."""
_ENCODER = simplejson.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
_LONGEST_WAIT = timedelta(days=45)
"""From the end of a calculation period to the last day on which its money can come."""


@dataclass(frozen=True, slots=True)
class TrueRow:
    """One item that a client must have stored."""

    cents: int
    """Its main amount, in centavos."""
    body: Callable[[], bytes]
    """Makes its JSON, in the shape that `truth.truth` describes; a summary does without."""


@dataclass(frozen=True, slots=True)
class ServedSale:
    """One element of `sales` as bytes, exactly as it is served."""

    id: str
    day: date
    cents: int
    body: bytes


def dumps(value: object) -> bytes:
    """JSON in UTF-8; a Decimal keeps its places."""
    return _ENCODER.encode(value).encode()


class World:
    """Reads only. All dates are local days of the merchant, both ends included."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.roster = Roster(settings)
        self._served = lru_cache(maxsize=_KEPT_DAYS)(self._serve)

    def sales(self, merchant: Merchant, begin: date, end: date, *, today: date) -> list[ServedSale]:
        """The sales that the API shows by the end of `today`, oldest first, each once."""
        return [
            served
            for day in days(begin, min(end, today))
            for served in self._served(merchant.index, day, today)
        ]

    def orders(self, merchant: Merchant, begin: date, end: date, *, today: date) -> Iterator[Order]:
        """The same sales without their JSON, which costs a tenth."""
        for day in days(begin, min(end, today)):
            yield from (order for order in self._orders(merchant, day) if order.visible(today))

    def settlements(
        self, merchant: Merchant, begin: date, end: date, *, today: date, by: By = "calculation"
    ) -> list[Entry]:
        """
        The titles that a query for the range returns.

        By calculation, a period comes complete as soon as it shares a day with the range; by
        payment, only the titles paid within the range come, which may cut a period in two.
        """
        books = self.roster.settled_with(merchant)[0]
        first = begin if by == "calculation" else _long_before(begin)
        entries = [
            entry
            for monday in mondays(first, min(end, today))
            for entry in titles_of(
                books,
                monday,
                seed=self.settings.seed,
                today=today,
                sales_per_day=self.settings.sales_per_day,
            )
        ]
        return _within(entries, begin, end, by)

    def anticipations(
        self, merchant: Merchant, begin: date, end: date, *, today: date, by: By = "calculation"
    ) -> list[Entry]:
        """The anticipations that a query for the range returns; empty without a plan."""
        first = begin if by == "calculation" else _long_before(begin)
        entries = anticipations_of(merchant, first, min(end, today), self.settings, today=today)
        return _within(list(entries), begin, end, by)

    def _orders(self, merchant: Merchant, day: date) -> tuple[Order, ...]:
        return orders_of(
            merchant, day, seed=self.settings.seed, sales_per_day=self.settings.sales_per_day
        )

    def _serve(self, index: int, day: date, today: date) -> tuple[ServedSale, ...]:
        merchant = self.roster.at(index)
        return tuple(
            ServedSale(order.id, day, order.bag, dumps(sale(order, merchant, today=today)))
            for order in self._orders(merchant, day)
            if order.visible(today)
        )


def _long_before(day: date) -> date:
    return day - min(_LONGEST_WAIT, day - date.min)


def _within(entries: list[Entry], begin: date, end: date, by: By) -> list[Entry]:
    match by:
        case "calculation":
            return [entry for entry in entries if entry.calculated_in(begin, end)]
        case "payment":
            return [entry for entry in entries if entry.paid_in(begin, end)]
