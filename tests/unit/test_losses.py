"""How many messages are missing, by what the ledger, the queues and the workers say."""

from collections import Counter

import pytest

from ifood_actors.broker.queues import QueueState
from ifood_actors.scheduler.losses import missing

OVERDUE = {"sales": 10}


def queues(*, ready: int, consumers: int = 2) -> dict[str, QueueState]:
    return {"ifood.sales": QueueState("ifood.sales", ready, consumers)}


@pytest.mark.parametrize(("ready", "expected"), [(0, 10), (4, 6), (10, 0), (50, 0)])
def test_what_no_queue_holds_is_missing(ready, expected):
    assert missing(OVERDUE, queues(ready=ready), [])["sales"] == expected


def test_a_queue_without_consumers_tells_nothing():
    """RabbitMQ says "0 messages, 0 consumers" of a queue that did not answer in time."""
    assert not missing(OVERDUE, queues(ready=0, consumers=0), [])


@pytest.mark.parametrize(
    ("running", "expected"),
    [
        (Counter(settlements_weekly=4), 6),
        (Counter(settlements_weekly=3, sales=1), 7),
        (Counter(sales=4), 10),
    ],
)
def test_a_busy_worker_may_hold_as_many_as_it_runs_of_other_kinds(running, expected):
    assert missing(OVERDUE, queues(ready=0), [running])["sales"] == expected


def test_a_kind_that_nobody_waits_for_is_not_missing():
    assert not missing({}, queues(ready=0), [])
