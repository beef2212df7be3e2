import json

import pytest
from dramatiq import Message
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.broker.consumer import BODY_MAX, refusal

GOOD = {
    "queue_name": "ifood.sales",
    "actor_name": "sales",
    "args": [],
    "kwargs": {"a": 1},
    "options": {},
    "message_id": "1",
    "message_timestamp": 1,
}


def test_a_message_of_this_queue_is_let_through():
    assert refused() is None


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        ({"queue_name": "ifood.nowhere"}, "names another queue"),
        ({"queue_name": None}, "names another queue"),
        ({"options": {"eta": 4102444800000}}, "asks to be held in memory"),
        ({"options": {"eta": None}}, "asks to be held in memory"),
        ({"options": []}, "a field has the wrong type"),
        ({"kwargs": "x"}, "a field has the wrong type"),
        ({"actor_name": {"a": 1}}, "a field has the wrong type"),
        ({"message_id": ["a"]}, "a field has the wrong type"),
        ({"args": None}, "not a message"),
        ({"unknown": 1}, "not a message"),
        ({"kwargs": {"a": "x" * BODY_MAX}}, "larger than any message"),
    ],
)
def test_a_message_that_would_harm_a_worker_is_refused(forged, reason):
    assert refused(**forged) == reason


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"null", b"[]", b"[" * 10_000, b"{}"])
def test_what_is_no_message_is_refused(body):
    assert refusal(body, queue="ifood.sales", check=None) == "not a message"


@given(st.binary(max_size=300))
def test_noise_is_refused(body):
    assert refusal(body, queue="ifood.sales", check=None) is not None


def test_a_check_has_the_last_word():
    def check(message: Message[object]) -> None:
        raise ValueError("no " + message.actor_name)

    body = json.dumps(GOOD).encode()

    assert refusal(body, queue="ifood.sales", check=check) == "no sales"


def refused(**forged: object) -> str | None:
    body = json.dumps(GOOD | forged).encode()
    return refusal(body, queue="ifood.sales", check=None)
