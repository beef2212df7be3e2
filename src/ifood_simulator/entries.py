"""What settlements and anticipations have in common: items in calculation periods."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from ifood_simulator.sales import Json

WEEK = timedelta(days=7)
_WEDNESDAY, _SATURDAY = 2, 5


@dataclass(frozen=True, slots=True)
class Entry:
    """An item of a closing, as the API shows it on a given day."""

    start: date | None
    """First day of the calculation period; None for a loose title."""
    end: date | None
    reference: date
    """Day by which a loose title is found in a calculation range; the period's start otherwise."""
    paid_on: date
    cents: int
    """The main amount, in centavos."""
    item: Json

    def calculated_in(self, begin: date, end: date) -> bool:
        """Whether a query by calculation dates returns it; a period counts when it overlaps."""
        last = self.reference if self.end is None else self.end
        return self.reference <= end and last >= begin

    def paid_in(self, begin: date, end: date) -> bool:
        """Whether a query by payment dates returns it."""
        return begin <= self.paid_on <= end


def monday_of(day: date) -> date:
    """Monday of the settlement week (Monday to Sunday) that `day` lies in."""
    return day - timedelta(days=day.weekday())


def days(begin: date, end: date) -> Iterator[date]:
    """Each day from `begin` to `end`, both included."""
    for offset in range((end - begin).days + 1):
        yield begin + timedelta(days=offset)


def mondays(begin: date, end: date) -> Iterator[date]:
    """Monday of each week that shares a day with the range."""
    for day in days(begin, end):
        if day == begin or day.weekday() == 0:
            yield monday_of(day)


def wednesday_from(day: date) -> date:
    """The first Wednesday, iFood's day of payment, that is not before `day`."""
    return day + timedelta(days=(_WEDNESDAY - day.weekday()) % 7)


def business_day_after(day: date) -> date:
    """The next day that is no Saturday and no Sunday; holidays are not known here."""
    following = day + timedelta(days=1)
    while following.weekday() >= _SATURDAY:
        following += timedelta(days=1)
    return following


def account_details(document: str, *, paid: bool) -> Json:
    """The account that was paid to: empty until then."""
    if not paid:
        return {}
    return {
        "bankName": "Banco Simulado S.A.",
        "bankNumber": "999",
        "branchCode": "0001",
        "branchDigit": None,
        "accountNumber": document[:6],
        "accountDigit": document[-1],
        "documentNumber": document,
    }
