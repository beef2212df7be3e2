"""
The bank titles of a store's settlement week.

A week closes on the Monday after it, and only then has titles. A loose title (BOLETO) belongs to no
period: a query by calculation dates finds it by its first payment date minus 30 days, which always
lies in the week that caused it, so contiguous blocks of days find each title at least once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from ifood_simulator.draws import happens, stream
from ifood_simulator.entries import WEEK, Entry, account_details, wednesday_from
from ifood_simulator.merchants import Merchant
from ifood_simulator.sales import Json, money

LOOSE_DAYS = timedelta(days=30)
"""From the reference day of a loose title to its first payment date."""
_QUIET, _NEGATIVE, _BOLETO, _BOLETO_NAMELESS, _FAILING, _NOVEL = 0.08, 0.08, 0.15, 0.3, 0.04, 0.03
_TICKET = 4_500
"""Centavos that an average sale brings the store."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A title before it is known what day it is."""

    number: int
    type: str
    cents: int
    due: date
    noise: int
    fails_first: bool = False
    reference: date | None = None
    named: bool = True


def titles_of(
    books: Merchant, monday: date, *, seed: int, today: date, sales_per_day: float
) -> list[Entry]:
    """
    All titles that the week starting on `monday` caused, as of the end of `today`.

    `books` is the store that the titles are drawn for: `Merchant.books` of the one that asks.
    """
    if today < monday + WEEK:
        return []
    rng = stream(seed, "titles", books.index, monday.toordinal())
    weekly = int(7 * sales_per_day * books.volume * _TICKET)
    drafts = _drafts(rng, books, monday, amount=1 + int(weekly * rng.uniform(0.5, 1.5)))
    return [_entry(draft, books, monday, today) for draft in drafts]


def _drafts(rng: Random, books: Merchant, monday: date, *, amount: int) -> Iterator[_Draft]:
    sunday = monday + timedelta(days=6)
    quiet, negative, boleto, novel = (
        happens(rng, share) for share in (_QUIET, _NEGATIVE, _BOLETO, _NOVEL)
    )
    due = wednesday_from(sunday if books.paid_weekly else sunday + LOOSE_DAYS)
    fails = happens(rng, _FAILING)
    if not quiet:
        for number, (type_, cents) in enumerate(_payout(books, amount), start=1):
            yield _Draft(number, type_, cents, due, rng.getrandbits(48), fails)
    if negative:
        cents = -rng.randrange(100, 9_000)
        yield _Draft(7, "SALDO NEGATIVO", cents, due, rng.getrandbits(48), named=False)
    if novel:
        yield _Draft(8, "CREDITO_ESPECIAL", rng.randrange(1, 500), due, rng.getrandbits(48))
    if boleto:
        day = monday + timedelta(days=rng.randrange(7))
        yield _Draft(
            9,
            "BOLETO",
            -rng.randrange(500, 30_000),
            day + LOOSE_DAYS,
            rng.getrandbits(48),
            reference=day,
            named=not happens(rng, _BOLETO_NAMELESS),
        )


def _payout(books: Merchant, amount: int) -> list[tuple[str, int]]:
    match books.receivables:
        case "none":
            return [("REPASSE", amount)]
        case "thrice":
            titles = ("SALDO POSITIVO", "REPASSE", "REGISTRO_RECEBIVEIS")
            return [(type_, amount) for type_ in titles]
        case "split":
            pledged = amount * 6 // 10
            return [
                ("RENEGOCIADA", amount),
                ("REGISTRO_RECEBIVEIS", pledged),
                ("REPASSE", amount - pledged),
            ]


def _entry(draft: _Draft, books: Merchant, monday: date, today: date) -> Entry:
    status, paid_on = _fate(draft, monday, today)
    loose = draft.reference is not None
    return Entry(
        start=None if loose else monday,
        end=None if loose else monday + timedelta(days=6),
        reference=draft.reference or monday,
        paid_on=paid_on,
        cents=draft.cents,
        item=_item(draft, books, status=status, paid_on=paid_on),
    )


def _fate(draft: _Draft, monday: date, today: date) -> tuple[str, date]:
    """Status and payment date: a payout that fails comes again on the Friday of its week."""
    if draft.type == "RENEGOCIADA":
        return "TRANSFER_RENEGOTIATED", draft.due
    if today < draft.due:
        fresh = today < monday + WEEK + timedelta(days=2)
        return "SCHEDULED" if fresh else "PENDING", draft.due
    if not draft.fails_first:
        return "SUCCEED", draft.due
    again = draft.due + timedelta(days=2)
    if today == draft.due:
        return "FAILED", draft.due
    return ("PENDING" if today < again else "SUCCEED"), again


def _item(draft: _Draft, books: Merchant, *, status: str, paid_on: date) -> Json:
    paid = status == "SUCCEED"
    item: Json = {
        "id": f"7{draft.noise % 10**11:011d}",
        "type": draft.type,
        "product": "IFOOD",
        "amount": money(draft.cents),
        "status": status,
        "paymentDate": str(paid_on),
        "accountDetails": account_details(books.document, paid=paid),
    }
    if paid:
        item["transactionId"] = f"88{draft.noise % 10**9:09d}"
    if draft.reference is not None:
        del item["product"]
    if draft.noise % 19 == 0:
        item["originDetails"] = {"origin": "SIMULATED", "reference": None}
    if not draft.named:
        _take_name(item, draft.noise)
    return item


def _take_name(item: Json, noise: int) -> None:
    """A title without an id: the field is absent, null or empty."""
    match noise % 3:
        case 0:
            del item["id"]
        case 1:
            item["id"] = None
        case _:
            item["id"] = ""
