from dataclasses import replace
from uuid import UUID

import pytest
from dramatiq import Message
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.delivery.messages import JobMessage, dramatiq_message
from ifood_actors.kinds import KINDS, queue_name

JOB = "0f8fad5b-d9cb-469f-a165-70867728950e"
MESSAGE = JobMessage(job_id=UUID(JOB), dispatch_no=3)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(JOB),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_survives_the_journey(kind):
    sent = dramatiq_message(kind, MESSAGE)

    received: Message[object] = Message.decode(sent.encode())

    assert received.actor_name == kind
    assert received.queue_name == f"ifood.{kind}"
    assert JobMessage.from_message(received) == MESSAGE


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_small(kind):
    assert len(dramatiq_message(kind, JobMessage(UUID(JOB), 2**31 - 1)).encode()) < 2000


def test_a_delayed_message_is_a_job_message():
    assert (
        JobMessage.from_message(dramatiq_message("sales", MESSAGE).copy(options={"not_before": 1}))
        == MESSAGE
    )


@pytest.mark.parametrize("kind", ["", "Sales", "sales ", "ifood.sales"])
def test_an_unknown_kind_has_no_queue(kind):
    with pytest.raises(ValueError, match="no such kind"):
        queue_name(kind)


@pytest.mark.parametrize(
    "forged",
    [
        {"actor_name": "delete_all"},
        {"actor_name": None},
        {"queue_name": "ifood.anticipations_daily"},
        {"args": (JOB, 3)},
        {"options": {"eta": 1}},
        {"options": {"pipe_target": {}}},
        {"options": {"time_limit": 1}},
        {"kwargs": {}},
        {"kwargs": {"job_id": JOB}},
        {"kwargs": {"job_id": JOB, "dispatch_no": 3, "status": "success"}},
    ],
)
def test_a_forged_message_is_refused(forged):
    with pytest.raises(ValueError, match=r"^(no such|the kind|a job message)"):
        JobMessage.from_message(replace(dramatiq_message("sales", MESSAGE), **forged))


@pytest.mark.parametrize("job_id", [None, 7, "", "x" * 36, JOB.upper(), f"{{{JOB}}}", JOB + "\n"])
def test_a_job_id_is_what_the_ledger_prints(job_id):
    with pytest.raises(ValueError, match="job_id is no UUID"):
        JobMessage.from_kwargs({"job_id": job_id, "dispatch_no": 1})


@pytest.mark.parametrize("dispatch_no", [None, True, 0, -1, 1.0, "1", 2**31])
def test_a_dispatch_number_is_a_positive_column_value(dispatch_no):
    with pytest.raises(ValueError, match="dispatch_no is no integer"):
        JobMessage.from_kwargs({"job_id": JOB, "dispatch_no": dispatch_no})


@given(st.dictionaries(st.sampled_from(["job_id", "dispatch_no"]) | st.text(), anything))
def test_forged_arguments_are_a_job_message_or_a_value_error(kwargs):
    try:
        message = JobMessage.from_kwargs(kwargs)
    except ValueError:
        return

    assert message.kwargs == kwargs


def test_a_refusal_repeats_nothing_that_was_received():
    secret = "s3cret-" * 5  # 35 characters, near a UUID's 36

    with pytest.raises(ValueError, match="job_id is no UUID") as refused:
        JobMessage.from_kwargs({"job_id": secret, "dispatch_no": 1})

    assert secret not in str(refused.value)
