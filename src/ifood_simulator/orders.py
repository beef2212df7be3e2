"""The orders of a store and day: their whole life, drawn once and without knowing today."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import exp
from random import Random
from uuid import UUID

from ifood_simulator.draws import happens, stream
from ifood_simulator.merchants import Merchant

_WEEKDAYS = (0.7, 0.75, 0.8, 0.95, 1.35, 1.35, 1.1)
"""Factor on the average, Monday first; they sum to 7."""
_CANCELLED, _LATE, _REFUNDED, _NEAR_MIDNIGHT, _AFTER_MIDNIGHT = 0.03, 0.04, 0.05, 0.10, 0.02
_MANY = 50


@dataclass(frozen=True, slots=True)
class Order:
    """An order and what will become of it; money in centavos, instants in UTC."""

    id: str
    number: int
    """Place among the orders of its day, from 1."""
    day: date
    """Day of the sale in the store's zone."""
    at: datetime
    bag: int
    delivery_fee: int
    service_fee: int
    paid_by_ifood: int
    paid_by_store: int
    cancelled: bool
    days_late: int
    """Days after `day` until the API shows the order."""
    refund: int
    refund_after: int
    """Days after `day`; means nothing when `refund` is 0."""
    noise: int
    """64 bits for what does not matter: methods, channels, odd fields."""

    def visible(self, today: date) -> bool:
        """Whether the API shows the order by the end of `today`."""
        return (today - self.day).days >= self.days_late

    def refunded(self, today: date) -> int:
        """What was given back by the end of `today`, in centavos."""
        return self.refund if (today - self.day).days >= self.refund_after else 0


def orders_of(
    merchant: Merchant, day: date, *, seed: int, sales_per_day: float
) -> tuple[Order, ...]:
    """All orders of the store's local day, oldest first, whether the API shows them yet or not."""
    rng = stream(seed, "orders", merchant.index, day.toordinal())
    mean = sales_per_day * merchant.volume * _WEEKDAYS[day.weekday()]
    moments = sorted(_moment(rng) for _ in range(_poisson(rng, mean)))
    midnight = datetime.combine(day, datetime.min.time(), tzinfo=merchant.zone)
    return tuple(
        _order(rng, number, day, (midnight + moment).astimezone(UTC))
        for number, moment in enumerate(moments, start=1)
    )


def _moment(rng: Random) -> timedelta:
    """Wall-clock time of an order: lunch and dinner, some of it on the edges of the day."""
    if happens(rng, _NEAR_MIDNIGHT):
        return timedelta(hours=23, minutes=30, seconds=rng.randrange(1800))
    if happens(rng, _AFTER_MIDNIGHT):
        return timedelta(seconds=rng.randrange(3600))
    peak = 12.5 if happens(rng, 0.4) else 20.0
    milliseconds = int(rng.triangular(10.0, 23.5, peak) * 3_600_000)
    return timedelta(milliseconds=milliseconds)


def _order(rng: Random, number: int, day: date, at: datetime) -> Order:
    bag = 1500 + int(rng.expovariate(1 / 4500))
    refund = 0
    if happens(rng, _REFUNDED):
        refund = bag if happens(rng, 0.5) else 1 + bag * rng.randrange(10, 60) // 100
    return Order(
        id=str(UUID(int=rng.getrandbits(128), version=4)),
        number=number,
        day=day,
        at=at,
        bag=bag,
        delivery_fee=rng.choice((0, 499, 799, 999, 1290)),
        service_fee=rng.choice((0, 99, 99, -99)),
        paid_by_ifood=rng.choice((0, 0, 600, bag // 10)),
        paid_by_store=rng.choice((0, 0, 0, 400, bag // 20)),
        cancelled=happens(rng, _CANCELLED),
        days_late=rng.choice((1, 2)) if happens(rng, _LATE) else 0,
        refund=refund,
        refund_after=rng.randrange(2, 26),
        noise=rng.getrandbits(64),
    )


def _poisson(rng: Random, mean: float) -> int:
    if mean > _MANY:
        return max(0, round(rng.gauss(mean, mean**0.5)))
    floor, product, count = exp(-mean), rng.random(), 0
    while product > floor:
        product *= rng.random()
        count += 1
    return count
