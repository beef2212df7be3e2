"""Any answer at all is read or refused by an error of our own, and no sum is made up."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import httpx
import pytest
import simplejson
from hypothesis import given
from hypothesis import strategies as st
from support.api import (
    MERCHANT,
    a_sale,
    a_title,
    a_week,
    an_anticipation,
    closing,
    sales_page,
)

from ifood_actors.errors import JobError
from ifood_actors.feeds import FEEDS, Feed, Fetched
from ifood_actors.feeds.exact_json import storable_json
from ifood_actors.ifood.http.answers import JsonValue, parse
from ifood_actors.ifood.http.client import MerchantApi
from ifood_actors.ifood.http.transport import Answer
from ifood_actors.spans import Period

WEEK = Period(date(2026, 9, 14), date(2026, 9, 20))
SAO_PAULO = ZoneInfo("America/Sao_Paulo")

A_SALE = a_sale(
    shortId=4821,
    merchant={"timezone": "America/Sao_Paulo", "name": "Cantina"},
    saleGrossValue={"bag": Decimal("62.90"), "deliveryFee": 0, "serviceFee": "0.99"},
    benefits={"totalValue": Decimal("5.5")},
    delivery={"prices": {"grossValue": 7, "discount": 1, "netValue": 6}},
    billingSummary={"saleBalance": Decimal("-46.75")},
)
A_TITLE = a_title(amount=Decimal("3406.90"), transactionId="88", paymentDate="2026-09-23")
AN_ANTICIPATION = an_anticipation(feePercentage=Decimal("1.4875"), feeAmount=Decimal("1.50"))
DOCUMENTS = {
    "sales": sales_page(A_SALE, a_sale("sale-2"), total=2),
    "settlements_weekly": closing(a_week(A_TITLE, a_title(None)), A_TITLE, balance=0),
    "anticipations_daily": closing(a_week(AN_ANTICIPATION, AN_ANTICIPATION), AN_ANTICIPATION),
}


class Junk(NamedTuple):
    """JSON text that no `dumps` would write."""

    text: str


ODD_TEXTS = [
    *["", "\0", "\ud800", "NaN", "1,50", "9" * 30, "a" * 5000],
    *["2026-09-14", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"],
    *["Etc/GMT+3", "America", "../etc/passwd"],
]
texts = st.text(st.characters(categories=None), max_size=20) | st.sampled_from(ODD_TEXTS)
numbers = st.one_of(
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.builds(
        lambda digits, exponent: Junk(f"{digits}e{exponent}"),
        st.integers(-1000, 1000),
        st.integers(-20, 20) | st.sampled_from([10**9, -(10**9), 10**19, -(10**19)]),
    ),
)
odd = st.sampled_from(["NaN", "-Infinity", "9" * 5000, "1e400", "-0.0", "0E+999999999"]).map(Junk)
deep = st.builds(
    lambda depth, inner: Junk("[" * depth + inner + "]" * depth),
    st.sampled_from([50, 300, 600, 900, 980, 20_000]),
    st.sampled_from(["", "1", r'"\u0000"', r'"\ud800"', "{}"]),
)
values = st.recursive(
    st.none() | st.booleans() | texts | numbers | odd | deep,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(texts | st.just("sales"), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Give every container of a document with every key or index in it."""
    members: Any = ()
    if isinstance(document, dict):
        members = document.items()
    elif isinstance(document, list):
        members = enumerate(document)
    for key, member in members:
        yield document, key
        yield from places(member)


def drop(container: Any, key: Any, _: Any) -> None:
    del container[key]


def replace(container: Any, key: Any, value: Any) -> None:
    container[key] = value


def rename(container: Any, key: Any, value: Any) -> None:
    container[str(value)] = container.pop(key)


@st.composite
def spoilt(draw: st.DrawFn, document: Any) -> Any:
    """Spoil a valid document in one to three places."""
    copy = simplejson.loads(simplejson.dumps(document, use_decimal=True), use_decimal=True)
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(list(places(copy)) or [([copy], 0)]))
        ways: list[Callable[..., None]] = [drop, replace, replace]
        ways += [rename] if isinstance(container, dict) else []
        draw(st.sampled_from(ways))(container, key, draw(values))
    return copy


def body_of(value: Any) -> bytes:
    """Write JSON by hand: `Junk` as it stands, lone surrogates as escapes."""
    match value:
        case Junk(text=text):
            return text.encode()
        case dict():
            members = (body_of(str(k)) + b":" + body_of(v) for k, v in value.items())
            return b"{" + b",".join(members) + b"}"
        case list():
            return b"[" + b",".join(map(body_of, value)) + b"]"
        case _:
            return simplejson.dumps(value, use_decimal=True).encode()


class OneAnswer(MerchantApi):
    """Answers every question by one body, which is read as the client reads it."""

    def __init__(self, body: bytes) -> None:
        self.merchant_id = MERCHANT
        self.answer = Answer(200, httpx.Headers(), body)

    def get(self, *_: object) -> JsonValue | None:
        return parse(self.answer)


def pulled(feed: Feed, body: bytes) -> Fetched | None:
    """Go the whole way of an answer, up to the text that Postgres gets; None if it is refused."""
    try:
        fetched = feed.fetch(OneAnswer(body), WEEK, timezone=SAO_PAULO)
        storable_json(fetched.rows).encode()
    except JobError as error:
        str(error).encode()  # the ledger stores it
        return None
    return fetched


def amounts_in(document: Any) -> Iterator[Decimal]:
    if isinstance(document, dict | list):
        for member in document.values() if isinstance(document, dict) else document:
            yield from amounts_in(member)
    elif isinstance(document, str | int | Decimal):
        with suppress(ArithmeticError):
            yield Decimal(document)


kinds = pytest.mark.parametrize("kind", FEEDS)


@kinds
@given(st.data())
def test_a_spoilt_answer_is_read_or_refused_and_no_amount_is_made_up(kind, data):
    fetched = pulled(FEEDS[kind], body_of(data.draw(spoilt(DOCUMENTS[kind]))))

    for row in fetched.rows if fetched else ():
        sent = set(amounts_in(row["raw"]))
        assert {value for value in row.values() if isinstance(value, Decimal)} <= sent


@kinds
@given(values)
def test_any_json_is_read_or_refused(kind, value):
    pulled(FEEDS[kind], body_of(value))


@kinds
@given(st.binary())
def test_any_bytes_are_read_or_refused(kind, body):
    pulled(FEEDS[kind], body)


@kinds
def test_the_documents_that_are_spoilt_are_valid(kind):
    fetched = pulled(FEEDS[kind], body_of(DOCUMENTS[kind]))

    assert fetched is not None
    assert len(fetched.rows) >= 2
    assert fetched.amount > 0
