import time
from typing import Any, get_args

import httpx
import pytest
from integration.simulator.asking import (
    CALCULATION,
    CENTRAL,
    TODAY,
    WEEK,
    ask_token,
    client_of,
    credentials,
    envelope,
    get,
    pages,
    store,
    truth,
)

from ifood_simulator import Fault, FaultRates, Settings, fault_of, running
from ifood_simulator.merchants import EmptyFace


@pytest.mark.parametrize("status", [200, 204, 304, 400, 404, 418, 429, 500, 503, 599])
def test_any_final_status_can_be_had(simulator, client, status):
    simulator.add_fault(Fault("status", status=status, headers={"Retry-After": "-1"}, times=1))

    answer = get(client, store(simulator), "sales", **WEEK)

    assert answer.status_code == status
    assert answer.headers["Retry-After"] == "-1"


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_a_lone_informational_status_ends_without_an_answer(simulator, client, status):
    simulator.add_fault(Fault("status", status=status, times=1))

    with pytest.raises(httpx.RemoteProtocolError):
        get(client, store(simulator), "sales", **WEEK)


def test_a_gateway_answers_in_html(simulator, client):
    simulator.add_fault(Fault("status", status=502, body="html", times=1))

    answer = get(client, store(simulator), "sales", **WEEK)

    assert answer.headers["Content-Type"].startswith("text/html")
    assert "<html>" in answer.text


@pytest.mark.parametrize("where", ["head", "body"])
def test_a_connection_is_cut(simulator, client, where):
    merchant = store(simulator)
    simulator.add_fault(Fault("cut", where=where, times=1))

    with pytest.raises(httpx.RemoteProtocolError):
        get(client, merchant, "sales", **WEEK)

    last = simulator.journal_since()[-1]
    assert (last["trouble"], last["status"]) == ("cut", 0 if where == "head" else 200)
    assert get(client, merchant, "sales", **WEEK).status_code == 200


def test_a_slow_answer_is_late_but_right(simulator, client):
    simulator.add_fault(Fault("slow", seconds=0.3, times=1))
    begun = time.monotonic()

    answer = get(client, store(simulator), "sales", **WEEK)

    assert time.monotonic() - begun >= 0.3
    assert envelope(answer)["sales"]


def test_a_dripping_body_takes_its_time(simulator, client):
    merchant = store(simulator)
    whole = len(get(client, merchant, "sales", **WEEK).content)
    simulator.add_fault(Fault("drip", bytes_per_second=2 * whole, times=1))
    begun = time.monotonic()

    answer = get(client, merchant, "sales", **WEEK)

    assert len(answer.content) == whole
    assert time.monotonic() - begun > 0.4


def test_a_huge_body_is_huge(simulator, client):
    simulator.add_fault(Fault("huge", mebibytes=3, times=1))

    assert len(get(client, store(simulator), "sales", **WEEK).content) > 3 * 1024 * 1024


def test_a_redirect_points_elsewhere(simulator, client):
    simulator.add_fault(Fault("redirect", status=307, location="http://127.0.0.2/", times=1))

    answer = get(client, store(simulator), "sales", **WEEK)

    assert (answer.status_code, answer.headers["Location"]) == (307, "http://127.0.0.2/")


@pytest.mark.parametrize("resource", ["sales", "settlements", "anticipations"])
def test_an_amount_is_not_a_number(simulator, client, resource):
    query = WEEK if resource == "sales" else CALCULATION
    simulator.add_fault(Fault("nan", resource=resource, times=1))

    assert ":NaN" in get(client, store(simulator, plan="daily"), resource, **query).text


def test_json_is_truncated_without_a_sign_of_it(simulator, client):
    simulator.add_fault(Fault("truncated", times=1))

    answer = get(client, store(simulator), "sales", **WEEK)

    assert answer.status_code == 200
    with pytest.raises(ValueError, match="line 1"):
        answer.json()


def test_pages_repeat_without_an_end(simulator, client):
    merchant = store(simulator)
    last = pages(client, merchant)[-1]
    simulator.add_fault(Fault("repeat_pages", merchant=merchant.id))

    far = envelope(get(client, merchant, "sales", **WEEK, page=1_000))

    assert far["sales"] == last["sales"]
    assert far["pageCount"] == 1_001


@pytest.mark.parametrize("resource", ["sales", "settlements", "anticipations"])
def test_an_answer_is_silently_empty(simulator, client, resource):
    query = WEEK if resource == "sales" else CALCULATION
    merchant = store(simulator, plan="daily")
    simulator.add_fault(Fault("silent_empty", times=1))

    document = envelope(get(client, merchant, resource, **query))

    assert document["sales" if resource == "sales" else "settlements"] == []


def test_the_last_item_is_left_out(simulator, client):
    merchant = store(simulator, plan="daily")
    simulator.add_fault(Fault("omit", resource="anticipations"))

    document = envelope(get(client, merchant, "anticipations", **CALCULATION))

    items = [item for part in document["settlements"] for item in part["closingItems"]]
    assert items == [row["item"] for row in truth(simulator, "anticipations", merchant)][:-1]


def test_a_store_can_change_its_traits(simulator, client):
    merchant = store(simulator, array_envelope=False, total_off=False)
    simulator.add_fault(
        fault_of(f"habit,merchant={merchant.id},times=1,habits.array_envelope=1,habits.total_off=1")
    )

    changed, usual = (get(client, merchant, "sales", **WEEK).json() for _ in range(2))

    assert isinstance(changed, list)
    assert changed[0]["total"] == usual["total"] + 1


PAGE: dict[str, Any] = {"page": 1, "size": 0, "total": 0, "pageCount": 0, "sales": []}
CLOSING: dict[str, Any] = {"settlements": []}
NOTHING = {"sales": PAGE, "settlements": CLOSING, "anticipations": CLOSING}


@pytest.mark.parametrize("switch", ["habit", "silent_empty"])
@pytest.mark.parametrize("face", get_args(EmptyFace))
@pytest.mark.parametrize("resource", NOTHING)
def test_nothing_has_each_of_its_faces_at_each_endpoint(simulator, client, resource, face, switch):
    merchant = store(simulator, size_is_rows=True, array_envelope=False, plan="daily")
    dates = WEEK if resource == "sales" else CALCULATION
    if switch == "silent_empty":
        simulator.add_fault(Fault("silent_empty", face=face))
    else:  # only days in the future have nothing
        simulator.add_fault(Fault("habit", habits={"empty": face}))
        dates = dict(zip(dates, ("2027-01-01", "2027-01-02"), strict=True))

    answer = get(client, merchant, resource, **dates)

    page = NOTHING[resource]
    unlisted = page | dict.fromkeys({"sales", "settlements"} & page.keys())
    bodies: dict[str, Any] = {"bare_list": [], "bare_null": None, "list": page, "null": unlisted}
    assert answer.status_code == {"404": 404, "204": 204}.get(face, 200)
    if face == "404":
        assert " found " in answer.json()["error"]["message"]
    elif face in bodies:
        told = answer.json()
        assert bodies[face] == (told and {name: told[name] for name in page})
    else:
        assert answer.content == b""


def test_a_shape_that_nobody_knows(simulator, client):
    simulator.add_fault(Fault("drift", times=1))

    assert "sales" not in get(client, store(simulator), "sales", **WEEK).json()


def test_a_fault_can_hit_the_token_endpoint(simulator, client):
    simulator.add_fault(Fault("status", resource="token", status=500, times=1))

    statuses = [ask_token(client, credentials(CENTRAL)).status_code for _ in range(2)]

    assert statuses == [500, 200]


def test_faults_come_by_themselves_and_are_named_in_the_journal():
    rates = FaultRates(server_error=0.25, bad_gateway=0.25, throttled=0.25, cut=0.25)
    settings = Settings(merchants=1, today=TODAY, faults=rates)
    with running(settings) as simulator, client_of(simulator) as client:
        for _ in range(3):
            while ask(client).status_code != 200:
                pass
        troubles = {entry["trouble"] for entry in simulator.journal_since()}

    assert troubles <= {"fault.status", "fault.cut", None}


def ask(client: httpx.Client) -> httpx.Response:
    try:
        return ask_token(client, credentials(CENTRAL))
    except httpx.RemoteProtocolError:
        return httpx.Response(200)
