"""The client against scripted answers: what it sends, and what it makes of what comes back."""

import gzip
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from support.api import OF_A_GATEWAY

from ifood_actors.errors import (
    Forbidden,
    GatewayFault,
    Rejected,
    SchemaBroken,
    ServerFault,
    Throttled,
    Unauthorized,
)
from ifood_actors.ifood.http import Access, ApiIdentity, IfoodClient
from ifood_actors.ifood.http import transport as limits
from ifood_actors.ifood.http.transport import http_client

APP = ApiIdentity(uuid4())
BASE_URL = "https://ifood.test"


class Bench:
    """A client whose answers are a list, and whose access notes what happens."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.sent: list[httpx.Request] = []
        self.story: list[str] = []
        self.tokens = ["first", "second", "third"]
        access = Access(
            token=lambda _app: self.tokens[0],
            invalidate=self.invalidate,
            pace=lambda _app, group, *_: self.story.append(f"slot {group}"),
            sent=lambda *_: None,
            heed=lambda _app, group, _endpoint, answer: self.story.append(
                f"{answer.status} {group}"
            ),
        )
        http = http_client(threads=1, transport=httpx.MockTransport(self.answer))
        self.client = IfoodClient(base_url=BASE_URL, http=http, access=access)
        self.api = self.client.merchant(
            APP, "m-1", on_progress=lambda: self.story.append("progress")
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        self.story.append(f"request {request.headers['Authorization']}")
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def invalidate(self, _identity: ApiIdentity, token: str) -> None:
        self.story.append(f"invalidate {token}")
        self.tokens.remove(token)


def test_a_get_spends_one_slot_and_carries_the_token_to_the_configured_host():
    bench = Bench(httpx.Response(200, json={"sales": []}))

    value = bench.api.get("sales", {"page": "1"})

    assert value == {"sales": []}
    assert bench.story == ["slot financial", "request Bearer first", "200 financial", "progress"]
    assert str(bench.sent[0].url) == f"{BASE_URL}/financial/v3.0/merchants/m-1/sales?page=1"
    assert bench.sent[0].headers["User-Agent"].startswith("ifood-actors/")
    assert bench.api.requests == 1


NOTHING = [
    httpx.Response(404, json={"message": "no plan"}),
    httpx.Response(404),
    httpx.Response(204),
    httpx.Response(200),
    httpx.Response(200, text=" \n"),
    httpx.Response(200, text="null"),
]


@pytest.mark.parametrize("answer", NOTHING)
def test_nothing_has_faces_that_are_all_none(answer):
    assert Bench(answer).api.get("settlements", {}) is None


@pytest.mark.parametrize(
    ("answers", "requests", "wasted"),
    [
        ([httpx.Response(404)], 1, 1),
        ([httpx.Response(401), httpx.Response(404)], 2, 2),
        ([httpx.Response(204)], 1, 0),
        ([httpx.Response(200, json=[])], 1, 0),
        ([httpx.Response(401), httpx.Response(204)], 2, 0),
    ],
)
def test_requests_that_end_in_a_404_are_counted_as_wasted(answers, requests, wasted):
    bench = Bench(*answers)

    bench.api.get("anticipations", {})

    assert (bench.api.requests, bench.api.wasted) == (requests, wasted)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 409, 500])
@pytest.mark.parametrize("body", OF_A_GATEWAY)
def test_a_gateway_that_answers_in_ifoods_place_is_asked_once_and_not_believed(status, body):
    bench = Bench(httpx.Response(status, content=body))

    with pytest.raises(GatewayFault):
        bench.api.get("sales", {})

    assert len(bench.sent) == 1
    assert "invalidate first" not in bench.story


def test_an_empty_list_is_returned_as_it_is():
    assert Bench(httpx.Response(200, json=[])).api.get("anticipations", {}) == []


def test_a_401_renews_the_token_once_and_repeats_once():
    bench = Bench(httpx.Response(401), httpx.Response(200, json=[]))

    assert bench.api.get("sales", {}) == []
    assert bench.story == [
        "slot financial",
        "request Bearer first",
        "401 financial",
        "invalidate first",
        "slot financial",
        "request Bearer second",
        "200 financial",
        "progress",
    ]
    assert bench.api.requests == 2


def test_a_second_401_is_unauthorized():
    bench = Bench(httpx.Response(401))

    with pytest.raises(Unauthorized):
        bench.api.get("sales", {})

    assert len(bench.sent) == 2


def test_a_429_is_heeded_by_the_limiter_and_sends_the_job_away():
    bench = Bench(httpx.Response(429, headers={"Retry-After": "7"}))

    with pytest.raises(Throttled) as raised:
        bench.api.get("sales", {})

    assert raised.value.after == timedelta(seconds=7)
    assert bench.story[-1] == "429 financial"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_never_followed(status):
    bench = Bench(httpx.Response(status, headers={"Location": "https://elsewhere.test/"}))

    with pytest.raises(ServerFault):
        bench.api.get("sales", {})

    assert [request.url.host for request in bench.sent] == ["ifood.test"]


TRANSPORT_FAULTS = [
    httpx.ConnectError("refused"),
    httpx.ConnectTimeout("late"),
    httpx.ReadTimeout("late"),
    httpx.PoolTimeout("full"),
    httpx.RemoteProtocolError("garbage\nforged line"),
]


@pytest.mark.parametrize("fault", TRANSPORT_FAULTS)
def test_faults_of_the_network_are_server_faults_on_one_line(fault):
    with pytest.raises(ServerFault) as raised:
        Bench(fault).api.get("sales", {})

    assert "\n" not in str(raised.value)


def test_other_refusals_keep_their_class():
    with pytest.raises(Rejected, match="400 page"):
        Bench(httpx.Response(400, json={"error": {"message": "page"}})).api.get("sales", {})
    with pytest.raises(Forbidden):
        Bench(httpx.Response(403)).api.get("sales", {})


def test_an_error_that_echoes_the_token_does_not_show_it():
    bench = Bench(httpx.Response(400, json={"message": "Bearer first is odd"}))

    with pytest.raises(Rejected, match=r"400 Bearer \*\*\* is odd"):
        bench.api.get("sales", {})


def test_cookies_of_one_application_do_not_reach_the_next():
    bench = Bench(httpx.Response(200, json=[], headers={"Set-Cookie": "session=1"}))

    bench.api.get("sales", {})
    bench.api.get("sales", {})

    assert "Cookie" not in bench.sent[1].headers


def test_a_merchant_id_cannot_leave_its_place_in_the_path():
    bench = Bench(httpx.Response(200, json=[]))

    bench.client.merchant(APP, "a/b?c#d", on_progress=lambda: None).get("sales", {})

    assert bench.sent[0].url.raw_path == b"/financial/v3.0/merchants/a%2Fb%3Fc%23d/sales"


def test_what_on_progress_raises_ends_the_call():
    def lost():
        raise ZeroDivisionError

    bench = Bench(httpx.Response(200, json=[]))

    with pytest.raises(ZeroDivisionError):
        bench.client.merchant(APP, "m-1", on_progress=lost).get("sales", {})


def test_a_body_is_counted_after_decompression(monkeypatch):
    monkeypatch.setattr(limits, "MAX_BODY_BYTES", 10_000)
    bomb = gzip.compress(b" " * 20_000)
    bench = Bench(httpx.Response(200, content=bomb, headers={"Content-Encoding": "gzip"}))

    with pytest.raises(ServerFault, match="larger than 10000 bytes"):
        bench.api.get("sales", {})


def test_gzip_is_read():
    packed = gzip.compress(b"[1]")
    bench = Bench(httpx.Response(200, content=packed, headers={"Content-Encoding": "gzip"}))

    assert bench.api.get("sales", {}) == [1]


def stores(*numbers: int) -> httpx.Response:
    return httpx.Response(200, json=[{"id": f"m-{n}", "name": f"Store {n}"} for n in numbers])


def test_merchants_are_read_until_a_page_is_short():
    bench = Bench(stores(*range(100)), stores(*range(99, 150)))

    found = [store.id for store in bench.client.merchants(APP)]

    assert found == [f"m-{n}" for n in range(150)]
    assert [request.url.params["page"] for request in bench.sent] == ["1", "2"]
    assert bench.story[0] == "slot merchant"


def test_a_server_that_repeats_a_page_does_not_hold_us():
    bench = Bench(stores(*range(100)))

    assert len(list(bench.client.merchants(APP))) == 100
    assert len(bench.sent) == 2


@pytest.mark.parametrize("body", [{"id": "m-1"}, [{"name": "no id"}], [3]])
def test_a_list_of_merchants_of_another_shape_is_broken(body):
    with pytest.raises(SchemaBroken):
        list(Bench(httpx.Response(200, json=body)).client.merchants(APP))
