"""Every answer that iFood can give, through a whole delivery: what it costs and what it leaves."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from json import dumps
from pathlib import Path
from typing import NamedTuple

import pytest
from support.api import (
    CUT,
    OF_A_GATEWAY,
    PAGE,
    Reply,
    a_sale,
    a_title,
    a_week,
    an_anticipation,
    closing,
    sales_page,
    script,
)
from support.clock import eventually
from support.deliveries import Bench, Outcome

from ifood_actors.delivery import leases
from ifood_actors.ifood.http import transport

pytestmark = pytest.mark.services

DOCUMENT = Path(__file__).parents[2] / "docs" / "ifood-api.md"

ONE_ITEM = {
    "sales": sales_page(a_sale()),
    "settlements_weekly": closing(a_title()),
    "anticipations_daily": closing(an_anticipation()),
}
# Seven days of sales are halved three times; four weeks twice; thirty days twice, to eight.
HALVED = {"sales": 4, "settlements_weekly": 3, "anticipations_daily": 3}
# Eight weeks of settlements are two blocks.
BLOCKS = {"sales": 1, "settlements_weekly": 2, "anticipations_daily": 1}

# What a delivery comes to, by the class of the answer: status, error_code, charged attempts.
CLASSES: dict[str, tuple[str, str | None, int]] = {
    "data": ("success", None, 1),
    "empty": ("success", None, 1),
    "permanent": ("failed", "rejected", 1),
    "permission": ("failed", "forbidden", 1),
    "renew": ("failed", "unauthorized", 1),
    "throttle": ("pending", None, 0),
    "transient": ("pending", "server_fault", 1),
    "gateway": ("pending", "gateway", 1),
    "schema": ("pending", "schema", 1),
    "foreign": ("pending", "foreign", 1),
}


@pytest.fixture
def server():
    with script() as server:
        yield server


@pytest.fixture
def bench(engine, server) -> Iterator[Bench]:
    bench = Bench(engine, server)
    yield bench
    bench.close()


def outcome(meaning: str, *, requests: int, rows: int = 0) -> Outcome:
    return Outcome(*CLASSES[meaning], requests, rows)


def expected(status: int, kind: str) -> Outcome:
    """The meaning of a status, written a second time and in another way than in the client."""
    named = {200: "data", 204: "empty", 401: "renew", 403: "permission", 404: "empty"}
    named |= {408: "transient", 425: "transient", 429: "throttle"}
    meaning = named.get(status, "permanent" if status // 100 == 4 else "transient")
    requests = {"data": BLOCKS[kind], "empty": BLOCKS[kind], "renew": 2}.get(meaning, 1)
    if status // 100 == 5:
        requests = HALVED[kind]
    return outcome(meaning, requests=requests, rows=int(meaning == "data"))


@pytest.mark.parametrize("hundred", range(100, 600, 100))
@pytest.mark.parametrize("kind", ONE_ITEM)
def test_every_status_has_its_outcome_when_ifood_says_it(bench, kind, hundred):
    statuses = range(hundred, hundred + 100)
    jobs = bench.plan(kind, count=100)

    outcomes = {
        status: bench.outcome_of(job, Reply(status, ONE_ITEM[kind]))
        for status, job in zip(statuses, jobs, strict=True)
    }

    assert outcomes == {status: expected(status, kind) for status in statuses}


class Case(NamedTuple):
    """Replies in order, the last one for ever; and what they come to."""

    replies: Sequence[Reply]
    meaning: str
    requests: int = 1
    rows: int = 0
    kind: str = "sales"


def case(*replies: Reply, meaning: str, requests: int = 1, rows: int = 0) -> Case:
    return Case(replies, meaning, requests, rows)


KONG = {"message": "no Route matched with those values"}
NO_TOKEN = {"message": "Unauthorized"}
LIMIT_EXCEEDED = {"message": "API rate limit exceeded"}
ERROR = {"error": {"code": "X", "message": "No sales found", "field": "", "details": ""}}
NO_PLAN = {"message": "no plan"}
ERROR_404 = {"error": "404", "message": "No anticipations found"}
CODE = {"code": "409", "message": "already requested"}
SALE = sales_page(a_sale())
# What the halves of a week bring: a sale, and nothing.
HALVES = Reply(200, sales_page(a_sale(createdAt="2026-09-15T15:00:00Z"))), Reply(204)
LAST_YEAR = closing(a_week(start="2025-08-04", end="2025-08-10"))
PAST_THE_END = {"error": {"code": "BadRequest", "message": "Invalid page. pageCount = 1"}}
NOT_THE_STORE = {"message": "user is forbidden to access merchant"}
NOT_THE_MODULE = {"message": "ifood-kong-validate-headers-plugin: forbidden"}

FOREIGN = (PAGE, b"no healthy upstream", KONG)
BELOW_500 = (200, 206, 302, 400, 401, 403, 404, 408, 409, 418, 422, 451)

# Section 8 of docs/ifood-api.md, row by row.
ANSWERS = {
    "200 with a list": [case(Reply(200, SALE), meaning="data", rows=1)],
    "200 with an empty list": [
        case(Reply(200, sales_page(pages=0)), meaning="empty"),
        case(Reply(200, [sales_page(pages=0)]), meaning="empty"),
        case(Reply(200, []), meaning="empty"),
        Case([Reply(200, closing())], "empty", 2, kind="settlements_weekly"),
        Case([Reply(200, closing())], "empty", 1, kind="anticipations_daily"),
    ],
    "200 with null, or null for a list": [
        case(Reply(200, b"null"), meaning="empty"),
        case(Reply(200, {"sales": None}), meaning="empty"),
    ],
    "200 without a body, 204": [
        case(Reply(200), meaning="empty"),
        case(Reply(204), meaning="empty"),
    ],
    "200 without its list": [
        case(Reply(200, {"data": []}), meaning="schema"),
        case(Reply(200, NO_TOKEN), meaning="schema"),
    ],
    "200 with NaN or Infinity": [
        case(Reply(200, b'{"sales": [{"id": "1", "x": NaN}]}'), meaning="schema"),
        case(Reply(200, b'{"sales": [], "total": -Infinity}'), meaning="schema"),
    ],
    "200 with an item that is not sure": [
        case(
            Reply(200, sales_page(a_sale(), a_sale("2", saleGrossValue={}))), meaning="data", rows=1
        ),
        Case([Reply(200, closing(a_title(amount=None)))], "data", 2, kind="settlements_weekly"),
        Case([Reply(200, closing(None))], "data", 1, kind="anticipations_daily"),
    ],
    "200 with a number beyond all measure": [
        case(Reply(200, b'{"pageCount": 1, "sales": [{"id": 1e131000}]}'), meaning="data"),
        case(Reply(200, b'{"sales": [], "total": 1e-131000}'), meaning="empty"),
    ],
    "200 that announces sales and shows none, twice": [
        case(Reply(200, sales_page(total=7)), meaning="schema", requests=2),
        case(Reply(200, sales_page(total=7)), Reply(200, SALE), meaning="data", requests=2, rows=1),
    ],
    "a page, text, or a note that gateways are known to write; not 429": [
        *(case(Reply(status, body), meaning="gateway") for status in BELOW_500 for body in FOREIGN),
        *(
            case(Reply(status, body), meaning="gateway", requests=4)
            for status in (500, 502, 503, 504)
            for body in FOREIGN
        ),
        *(
            Case([Reply(404, body)], "gateway", kind=kind)
            for body in OF_A_GATEWAY
            for kind in BLOCKS
        ),
        case(Reply(504, PAGE), *HALVES, meaning="data", requests=3, rows=1),
        case(
            Reply(200, sales_page(a_sale(), pages=2)),
            Reply(400, b"<title>Invalid page</title>"),
            meaning="gateway",
            requests=2,
        ),
    ],
    "JSON that was cut": [
        case(Reply(200, b'{"sales": ['), meaning="transient"),
        case(Reply(200, SALE, cut=True), meaning="transient"),
        *(case(Reply(status, CUT[0]), meaning="transient") for status in BELOW_500),
        case(Reply(500, CUT[0]), meaning="transient", requests=4),
    ],
    "200 about another merchant or other days": [
        case(Reply(200, sales_page(a_sale(merchant={"id": "another"}))), meaning="foreign"),
        case(Reply(200, sales_page(a_sale(createdAt="2025-08-01T12:00:00Z"))), meaning="foreign"),
        Case([Reply(200, LAST_YEAR)], "foreign", kind="settlements_weekly"),
        Case([Reply(200, LAST_YEAR)], "foreign", kind="anticipations_daily"),
    ],
    "another 2xx, 3xx, a lone 1xx": [
        case(Reply(206, SALE), meaning="transient"),
        case(Reply(302, headers={"Location": "/elsewhere"}), meaning="transient"),
        case(Reply(103), meaning="transient"),
    ],
    "400 that says Invalid page, after page 1": [
        case(
            Reply(200, sales_page(a_sale(), pages=None)),
            Reply(400, PAST_THE_END),
            meaning="data",
            requests=2,
            rows=1,
        )
    ],
    "any other 400": [
        case(Reply(400, ERROR), meaning="permanent"),
        case(Reply(400, CODE), meaning="permanent"),
        case(Reply(400), meaning="permanent"),
        case(Reply(400, PAST_THE_END), meaning="permanent"),
    ],
    "401": [
        case(Reply(401, ERROR), meaning="renew", requests=2),
        case(Reply(401, NO_TOKEN), meaning="renew", requests=2),
        case(Reply(401), Reply(200, SALE), meaning="data", requests=2, rows=1),
        case(Reply(401), Reply(503), Reply(204), meaning="empty", requests=4),
    ],
    "403": [
        case(Reply(403, NOT_THE_STORE), meaning="permission"),
        case(Reply(403, NOT_THE_MODULE), meaning="permission"),
        case(Reply(403), meaning="permission"),
    ],
    "404": [
        Case([Reply(404, body)], "empty", BLOCKS[kind], kind=kind)
        for body in (ERROR, ERROR_404, NO_PLAN, b"")
        for kind in BLOCKS
    ],
    "409, 422, another 4xx": [
        case(Reply(409, CODE), meaning="permanent"),
        case(Reply(422, ERROR), meaning="permanent"),
        case(Reply(418), meaning="permanent"),
    ],
    "429": [
        case(Reply(429, LIMIT_EXCEEDED, {"Retry-After": "7"}), meaning="throttle"),
        case(Reply(429, LIMIT_EXCEEDED, {"X-RateLimit-Reset": "12"}), meaning="throttle"),
        *(case(Reply(429, body), meaning="throttle") for body in FOREIGN),
        case(
            Reply(200, sales_page(a_sale(), pages=2)),
            Reply(429),
            meaning="throttle",
            requests=2,
        ),
    ],
    "408, 425": [
        case(Reply(408, ERROR), meaning="transient"),
        case(Reply(425), meaning="transient"),
    ],
    "500, 502, 503, 504": [
        case(Reply(500, ERROR), meaning="transient", requests=4),
        case(Reply(503), meaning="transient", requests=4),
        case(Reply(504), *HALVES, meaning="data", requests=3, rows=1),
    ],
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_every_answer_of_the_page_has_its_outcome(bench, answer):
    cases = ANSWERS[answer]
    kinds = Counter(one.kind for one in cases)
    jobs = {kind: bench.plan(kind, count=count) for kind, count in kinds.items()}

    for number, one in enumerate(cases):
        found = bench.outcome_of(jobs[one.kind].pop(), *one.replies)

        assert found == outcome(one.meaning, requests=one.requests, rows=one.rows), number


def test_the_page_tells_every_answer_that_is_proved_here():
    _, _, rest = DOCUMENT.read_text().partition("| answer | class | how sure |")
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \|$", rest.split("\n## ")[0], re.MULTILINE)

    assert rows[1:] == list(ANSWERS)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 409, 500, 503])
@pytest.mark.parametrize("body", [*FOREIGN, CUT[0]])
def test_no_gateway_at_the_token_endpoint_closes_credentials_or_costs_a_job(bench, status, body):
    [job] = bench.plan("sales")
    bench.server.token = Reply(status, body)

    before = bench.outcome_of(job, Reply(200, SALE))
    [held] = bench.rows("SELECT * FROM ifood_authorizations")
    bench.server.token = None
    bench.let_pauses_pass()
    bench.let_its_wait_pass(job)
    after = bench.outcome_of(job, Reply(200, SALE))

    assert before == outcome("transient" if body == CUT[0] else "gateway", requests=0)
    assert (held["refused_at"], held["needs_authorization_since"]) == (None, None)
    assert after == Outcome("success", None, attempts=2, requests=1, rows=1)


GRANT = {"accessToken": "an-access-token", "refreshToken": "a-refresh-token", "expiresIn": 10_800}


@pytest.mark.parametrize("status", [201, 202, 203])
def test_a_token_that_comes_with_another_2xx_is_used(bench, status):
    [job] = bench.plan("sales")
    bench.server.token = Reply(status, GRANT)

    assert bench.outcome_of(job, Reply(200, SALE)).status == "success"


@pytest.mark.parametrize("status", [200, 202, 302])
def test_no_token_of_an_answer_stands_in_the_ledger(bench, status):
    [job] = bench.plan("sales")
    bench.server.token = Reply(status, {"message": dumps(GRANT)})

    bench.outcome_of(job, Reply(200, SALE))

    told = bench.rows("SELECT job::text AS row FROM ifood_jobs AS job")
    told += bench.rows("SELECT event::text AS row FROM ifood_job_events AS event")
    assert told
    assert not [row for row in told if "-token" in row["row"]]


def test_a_silent_server_is_transient(engine, server, monkeypatch):
    monkeypatch.setattr(transport, "READ_SECONDS", 0.2)
    bench = Bench(engine, server)
    silent = Reply(200, headers={"Transfer-Encoding": "chunked"})  # its body never comes

    # Again, if the machine stalls: then even the token comes too late.
    eventually(
        lambda: bench.outcome_of(bench.plan("sales")[0], silent) == outcome("transient", requests=1)
    )
    bench.close()


def test_an_answer_beyond_all_measure_is_transient(bench, monkeypatch):
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 1_000)
    [job] = bench.plan("sales")

    found = bench.outcome_of(job, Reply(200, sales_page(a_sale(note="x" * 1_000))))

    assert found == outcome("transient", requests=1)


def test_a_list_that_is_not_read_to_its_end_in_time_ends_in_good_order(bench, monkeypatch):
    monkeypatch.setattr(leases, "LONGEST_READING", timedelta(0))
    [job] = bench.plan("sales")

    found = bench.outcome_of(job, Reply(200, SALE))

    assert found == Outcome("pending", "time_limit", attempts=1, requests=1, rows=0)


@pytest.mark.parametrize(
    ("reply", "attempts", "status"),
    [
        (Reply(503), [1, 2, 3], "failed"),
        (Reply(403, PAGE), [1, 2, 3], "failed"),
        (Reply(200, NO_TOKEN), [1, 2], "failed"),
        (Reply(429), [0, 0, 0, 0], "pending"),
        (Reply(403), [1], "failed"),
    ],
)
def test_attempts_are_charged_until_they_are_used_up(bench, reply, attempts, status):
    [job] = bench.plan("sales")
    outcomes = [bench.outcome_of(job, reply)]

    for _ in attempts[1:]:
        bench.let_its_wait_pass(job)
        outcomes.append(bench.outcome_of(job, reply))

    assert [found.attempts for found in outcomes] == attempts
    assert outcomes[-1].status == status
