"""The client against docs/ifood-openapi.yaml: it reads every answer that is described there."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
import schemathesis
import simplejson
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from ifood_actors.errors import JobError, SchemaBroken
from ifood_actors.feeds import FEEDS
from ifood_actors.feeds.anticipations import Anticipation
from ifood_actors.feeds.calculation_periods import CalculationEnvelope
from ifood_actors.feeds.exact_json import storable, storable_json
from ifood_actors.feeds.items import IfoodModel
from ifood_actors.feeds.records import Fetched, Row
from ifood_actors.feeds.sales import BillingSummary, Delivery, Sale, SalesPage
from ifood_actors.feeds.settlements import SettlementTitle
from ifood_actors.ifood.http import Access, ApiIdentity, AppCredentials, IfoodClient
from ifood_actors.ifood.http.token_requests import redeem_code, request_token, request_user_code
from ifood_actors.ifood.http.transport import http_client
from ifood_actors.spans import Period

DESCRIPTION = Path(__file__).parents[2] / "docs" / "ifood-openapi.yaml"
WEEK = Period(date(2026, 9, 14), date(2026, 9, 20))
BASE = "https://ifood.test"
CREDENTIAL = ApiIdentity(uuid4(), None)
ZONE = ZoneInfo("America/Sao_Paulo")
MERCHANT = "m-1"
ENVELOPES = {
    "sales": "SalesPage",
    "settlements_weekly": "SettlementsEnvelope",
    "anticipations_daily": "AnticipationsEnvelope",
}

description = schemathesis.openapi.from_path(DESCRIPTION)
RAW: dict[str, Any] = description.raw_schema
SCHEMAS: dict[str, Any] = RAW["components"]["schemas"]


Answer = Callable[[httpx.Request], httpx.Response]


@contextmanager
def client(answer: Answer) -> Iterator[IfoodClient]:
    access = Access(
        token=lambda *_: "token",
        invalidate=lambda *_: None,
        pace=lambda *_: None,
        sent=lambda *_: None,
        heed=lambda *_: None,
    )
    http = http_client(threads=1, transport=httpx.MockTransport(answer))
    ifood = IfoodClient(base_url=BASE, http=http, access=access)
    try:
        yield ifood
    finally:
        ifood.close()


def pull(kind: str, answer: Answer) -> Fetched:
    with client(answer) as ifood:
        api = ifood.merchant(CREDENTIAL, MERCHANT, on_progress=lambda: None)
        return FEEDS[kind].fetch(api, WEEK, timezone=ZONE)


def rows_unless(reasons: str, kind: str, answer: Any) -> Sequence[Row]:
    """The answer's rows; none when any of it is refused, for one of the reasons and no other."""
    try:
        fetched = pull(kind, constant(answer))
    except SchemaBroken as refused:
        given = [str(refused)]
    else:
        given = [odd.reason for odd in fetched.rejected]
    assert [reason for reason in given if not re.search(reasons, reason)] == []
    if given:
        reject()
    return fetched.rows


def constant(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    content = body if isinstance(body, bytes) else simplejson.dumps(body).encode()
    return lambda _request: httpx.Response(status, content=content, headers=headers)


def answers(*names: str) -> dict[str, st.SearchStrategy[Any]]:
    """Turn the description around: what is generated are requests, so let answers be those."""

    def operation(name: str) -> dict[str, Any]:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        return {
            "post": {
                "requestBody": {"required": True, "content": content},
                "responses": {"200": {"description": ""}},
            }
        }

    turned = schemathesis.openapi.from_dict(
        {
            "openapi": RAW["openapi"],
            "info": RAW["info"],
            "paths": {f"/{name}": operation(name) for name in names},
            "components": {"schemas": SCHEMAS},
        }
    )
    return {name: turned[f"/{name}"]["POST"].as_strategy().map(lambda c: c.body) for name in names}


VALID = answers(*ENVELOPES.values(), "Token", "UserCode", "MerchantSummary")


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Encoding": st.sampled_from(["gzip", "deflate", "identity", "x"]),
        "Content-Type": st.sampled_from(["application/json", "text/html; charset=x", ""]),
        "Retry-After": st.sampled_from(["1", "-1", "1e9", "soon", "Wed, 25 Nov 2026 10:00:00"]),
        "X-RateLimit-Reset": st.sampled_from(["1", "-1", "9" * 40, "nan"]),
        "X-RateLimit-Limit": st.sampled_from(["1", "0", "-1", "9" * 40, "many"]),
    },
)


def parameter_of(parameter: dict[str, Any]) -> dict[str, Any]:
    name = parameter.get("$ref", "").rsplit("/", 1)[-1]
    found: dict[str, Any] = RAW["components"]["parameters"].get(name, parameter)
    return found


def in_cents(value: Any, name: str = "") -> Any:
    """The answer with numbers that can be money, and few pages."""
    if isinstance(value, dict):
        return {key: in_cents(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [in_cents(each) for each in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return int(value) % 3 if name == "pageCount" else Decimal(int(value) % 10**9).scaleb(-2)


def ours(kind: str, answer: dict[str, Any]) -> dict[str, Any]:
    """
    The answer about the merchant and the week that were asked for.

    An envelope may have fields that are not described, by the names of another one's, too.
    """
    sales, parts = (answer, {}) if kind == "sales" else ({}, answer)
    for sale in sales.get("sales") or []:
        sale["createdAt"] = "2026-09-16T15:00:00Z"
        if sale.get("merchant"):
            sale["merchant"]["id"] = MERCHANT
    for part in parts.get("settlements") or []:
        for end in {"startDateCalculation", "endDateCalculation"} & part.keys():
            part[end] = "2026-09-16"
    for end in {"beginSalesDate", "endSalesDate"} & answer.keys():
        answer[end] = "2026-09-16"
    return answer


def items_of(kind: str, envelope: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if kind == "sales":
        yield from envelope.get("sales") or []
        return
    for part in envelope.get("settlements") or []:
        yield from [part] if part.get("closingItems") is None else part["closingItems"]


def exact(amount: Decimal | str) -> Decimal:
    return Decimal(amount)


@st.composite
def mutated(draw: st.DrawFn, valid: st.SearchStrategy[Any]) -> bytes:
    """An answer with one part exchanged, or bytes of it lost, doubled or exchanged."""
    answer = draw(valid)
    if draw(st.booleans()):
        return simplejson.dumps(exchanged(draw, answer), allow_nan=True).encode()
    body = bytearray(simplejson.dumps(answer).encode())
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, len(body)))
    body[start:end] = draw(st.binary(max_size=8) | st.just(bytes(body[start:end]) * 2))
    return bytes(body)


def exchanged(draw: st.DrawFn, value: Any) -> Any:
    """The value with something else in one place of it."""
    if not value or not isinstance(value, dict | list) or draw(st.integers(0, 4)) == 0:
        return draw(JSON)
    places = list(value) if isinstance(value, dict) else range(len(value))
    place = draw(st.sampled_from(places))
    copy: Any = value.copy()
    if draw(st.integers(0, 4)) == 0:
        del copy[place]
    else:
        copy[place] = exchanged(draw, value[place])
    return copy


# Why an answer that is described may yet not become rows; docs/ifood-api.md, section 6.
REASONS = (
    "no exact number|number too large|more than two decimals|valid date|no ISO date|no usable year"
    "|at most 200|more than 200 pages|announces sales and shows none|more than 60 digits"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
MODELS: dict[str, type[IfoodModel]] = {
    "SalesPage": SalesPage,
    "Sale": Sale,
    "Delivery": Delivery,
    "BillingSummary": BillingSummary,
    "SettlementsEnvelope": CalculationEnvelope,
    "AnticipationsEnvelope": CalculationEnvelope,
    "SettlementTitle": SettlementTitle,
    "Anticipation": Anticipation,
}
few = settings(
    max_examples=40,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ],
)


def test_the_description_is_openapi():
    description.validate()


def test_everything_that_is_described_says_how_sure_it_is():
    operations = [verb for path in RAW["paths"].values() for verb in path.values()]
    answered = RAW["components"]["responses"].values()
    objects = [each for each in SCHEMAS.values() if "object" in each.get("type", ())]

    marks = [each.get("x-confidence") for each in [*operations, *answered, *objects]]

    assert set(marks) <= set("ABCDE")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_reads_and_needs_what_is_described(name):
    model, described = MODELS[name], SCHEMAS[name]
    fields = {field.alias: field for field in model.model_fields.values()}

    assert set(fields) <= set(described["properties"])
    needed = {alias for alias, field in fields.items() if field.is_required()}
    assert needed == set(described.get("required", ()))


@pytest.mark.parametrize("kind", FEEDS)
def test_a_feed_asks_as_is_described(kind):
    asked: list[httpx.URL] = []

    def note(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(204)

    pull(kind, note)

    *_, resource = asked[0].path.split("/")
    operation = RAW["paths"][f"/financial/v3.0/merchants/{{merchantId}}/{resource}"]["get"]
    named = [parameter_of(each) for each in operation["parameters"]]
    queries = {each["name"]: each.get("required", False) for each in named if each["in"] == "query"}
    assert set(asked[0].params) <= set(queries)
    assert {name for name, required in queries.items() if required} <= set(asked[0].params)


@pytest.mark.parametrize("kind", FEEDS)
def test_a_field_that_is_not_described_is_no_item(kind):
    other = "settlements" if kind == "sales" else "sales"
    answer: dict[str, Any] = {"settlements": [], "sales": []} | {other: [1, "text"]}

    assert list(items_of(kind, ours(kind, answer))) == []
    assert pull(kind, constant(answer)).rows == ()


@pytest.mark.parametrize("kind", FEEDS)
@few
@given(data=st.data())
def test_a_described_answer_becomes_rows_or_is_refused_for_a_stated_reason(kind, data):
    answer = ours(kind, data.draw(VALID[ENVELOPES[kind]]))

    for row in rows_unless(REASONS, kind, answer):
        storable_json(row["raw"])


@pytest.mark.parametrize("kind", FEEDS)
@few
@given(data=st.data())
def test_no_item_of_a_described_answer_is_lost(kind, data):
    answer = ours(kind, in_cents(data.draw(VALID[ENVELOPES[kind]])))
    answer = data.draw(st.sampled_from([answer, [answer]]))

    rows = rows_unless("no ISO date|at most 200|announces sales", kind, answer)
    items = list(items_of(kind, answer[0] if isinstance(answer, list) else answer))
    match kind:
        case "sales":
            keys = {storable(item["id"]) for item in items}
            assert {row["sale_id"] for row in rows} == keys
        case "settlements_weekly":
            lines = {(row["type"], row["amount"]) for row in rows}
            assert lines == {(storable(i["type"]), exact(i["amount"])) for i in items}
        case "anticipations_daily":
            assert len(rows) == len(items)


@pytest.mark.parametrize("kind", FEEDS)
@few
@given(data=st.data())
def test_a_mutated_answer_ends_in_rows_or_in_a_job_error(kind, data):
    body = data.draw(mutated(VALID[ENVELOPES[kind]]))
    headers = data.draw(HEADERS)
    status = data.draw(st.just(200) | st.integers(200, 599))

    with suppress(JobError):
        for row in pull(kind, constant(body, status=status, headers=headers)).rows:
            storable_json(row["raw"])


@few
@given(
    body=mutated(VALID["Token"] | VALID["UserCode"]), status=st.just(200) | st.integers(200, 599)
)
def test_a_mutated_answer_to_a_token_call_ends_in_a_job_error_at_worst(body, status):
    me = AppCredentials("client", "secret")
    with http_client(
        threads=1, transport=httpx.MockTransport(constant(body, status=status))
    ) as http:
        for call in (
            lambda: request_token(me, http=http, base_url=BASE),
            lambda: request_token(me, "refresh", http=http, base_url=BASE),
            lambda: redeem_code(me, "code", verifier="v", http=http, base_url=BASE),
            lambda: request_user_code("client", http=http, base_url=BASE),
        ):
            with suppress(JobError):
                call()


@few
@given(answer=VALID["Token"])
def test_a_described_token_can_be_used(answer):
    with http_client(threads=1, transport=httpx.MockTransport(constant(answer))) as http:
        grant = request_token(AppCredentials("client", "secret"), http=http, base_url=BASE)

    assert grant.access_token == answer["accessToken"]


@few
@given(stores=st.lists(VALID["MerchantSummary"], max_size=5))
def test_described_stores_are_found(stores):
    with client(constant(stores)) as ifood:
        found = [store.id for store in ifood.merchants(CREDENTIAL)]

    assert set(found) == {store["id"] for store in stores}
