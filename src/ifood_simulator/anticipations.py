"""
The anticipated payouts of a store: one period for each day (daily plan) or week (weekly plan).

A period shows up on the day after its last one. The fees of 1.49 % and 1.59 % are those that iFood
asked for between 2022 and 2026. Items have no id, and some periods hold two equal ones. Some are
corrected days later: the amounts become others, and a key made of them as well.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from ifood_simulator.draws import happens, stream
from ifood_simulator.entries import (
    WEEK,
    Entry,
    account_details,
    business_day_after,
    days,
    mondays,
    wednesday_from,
)
from ifood_simulator.merchants import Merchant
from ifood_simulator.sales import Json, money
from ifood_simulator.settings import Settings

_FEES = {"daily": 149, "weekly": 159}
"""Hundredths of a percent."""
_TYPES = {"daily": "REPASSE_ANTECIPADO_DIARIO", "weekly": "REPASSE_ANTECIPADO_SEMANAL"}
_QUIET, _TWINS, _SECOND, _FAILING, _NOVEL = 0.15, 0.06, 0.10, 0.02, 0.02
_TICKET = 4_500


def anticipations_of(
    merchant: Merchant, begin: date, end: date, settings: Settings, *, today: date
) -> Iterator[Entry]:
    """Items of the periods that share a day with the range, as of the end of `today`."""
    match merchant.plan:
        case None:
            return
        case "daily":
            length = timedelta(days=1)
            starts = days(begin, end)
        case "weekly":
            length = WEEK
            starts = mondays(begin, end)
    for start in starts:
        if start + length <= today:
            yield from _period(merchant, start, length, settings, today)


def _period(
    merchant: Merchant, start: date, length: timedelta, settings: Settings, today: date
) -> Iterator[Entry]:
    rng = stream(settings.seed, "anticipations", merchant.index, start.toordinal())
    if happens(rng, _QUIET):
        return
    mean = settings.sales_per_day * length.days * merchant.volume * _TICKET
    days_old = (today - start - length).days
    factor = _correction(merchant, start, settings, days_old)
    entry = _entry(rng, merchant, start, length, today, mean=mean, factor=factor)
    yield entry
    if happens(rng, _TWINS):
        yield entry
    if happens(rng, _SECOND):
        yield _entry(rng, merchant, start, length, today, mean=mean / 5, factor=factor)


def _correction(merchant: Merchant, start: date, settings: Settings, days_old: int) -> float:
    """Factor on the amounts of a period that is shown since `days_old` days."""
    rng = stream(settings.seed, "correction", merchant.index, start.toordinal())
    if not happens(rng, settings.corrected_share) or days_old < rng.randrange(1, 6):
        return 1.0
    return rng.choice((0.9, 1.05))


def _entry(
    rng: Random,
    merchant: Merchant,
    start: date,
    length: timedelta,
    today: date,
    *,
    mean: float,
    factor: float,
) -> Entry:
    plan = merchant.plan or "daily"
    original = 1 + int(factor * mean * rng.uniform(0.5, 1.5))
    fee = (original * _FEES[plan] + 5_000) // 10_000
    end = start + length - timedelta(days=1)
    paid_on = business_day_after(end) if plan == "daily" else wednesday_from(end)
    fails = happens(rng, _FAILING)
    paid = today > paid_on and not fails
    status = "SUCCEED" if paid else "FAILED" if today > paid_on else "PENDING"
    item: Json = {
        "type": "REPASSE_ANTECIPADO_PIX" if happens(rng, _NOVEL) else _TYPES[plan],
        "originalPaymentAmount": money(original),
        "feePercentage": money(_FEES[plan]),
        "feeAmount": money(fee),
        "anticipatedPaymentAmount": money(original - fee),
        "status": status,
        "accountDetails": account_details(merchant.document, paid=paid),
        "originalPaymentDate": str(wednesday_from(end + timedelta(days=30))),
        "anticipatedPaymentDate": str(paid_on),
    }
    return Entry(
        start=start, end=end, reference=start, paid_on=paid_on, cents=original - fee, item=item
    )
