"""More jobs due than the limiter can serve: they wait unclaimed, and nothing is done twice."""

import random
from datetime import timedelta
from uuid import uuid4

import pytest
from dramatiq import MessageProxy
from dramatiq.brokers.stub import StubBroker
from sqlalchemy import text
from support.clock import NOON, StoppedClock
from support.queueing import Hosts, Monotonic
from support.rows import PLENTY, acts_of, dispatch, make_app, make_jobs, row_of

from ifood_actors.db import transaction
from ifood_actors.delivery.admission import Admission, Turn
from ifood_actors.delivery.messages import JobMessage, dramatiq_message
from ifood_actors.delivery.middleware import LedgerRetry
from ifood_actors.delivery.retries import Backoff
from ifood_actors.errors import Throttled
from ifood_actors.ifood.limiter import Limiter, limiter, snapshots
from ifood_actors.ifood.request_slots import interval
from ifood_actors.scheduler.slot_budget import RelayRate, SlotBudget

pytestmark = pytest.mark.services

MINUTE = timedelta(minutes=1)
PLAYED = 4  # minutes


@pytest.fixture
def clock(engine, monkeypatch):
    clock = StoppedClock(engine)
    for module in (limiter, snapshots):
        monkeypatch.setattr(module, "time", Monotonic(clock))
    random.seed(1)
    return clock


def judge(hosts: Hosts, *, minutes: float) -> None:
    """Ask for the goals: snoozes, rows of history, and use of the limit."""
    done = len(hosts.finished)
    usable = minutes * MINUTE / interval(hosts.per_minute)
    worst = max(sum(at <= other < at + MINUTE for other in hosts.sent) for at in hosts.sent)
    print(  # noqa: T201 - for whoever runs it by itself
        f"{hosts.per_minute} a minute: {done} done, {hosts.acts()}, {hosts.snoozes()} snoozes,"
        f" {len(hosts.sent)} of {usable:.0f} requests, {worst} in the worst minute"
    )
    assert done > 0
    assert 20 * hosts.snoozes() <= done
    assert sum(hosts.acts().values()) <= 6 * done
    assert len(hosts.sent) >= 0.97 * usable - 1
    assert worst <= hosts.per_minute


@pytest.mark.parametrize(
    ("per_minute", "requests", "minutes"), [(5, 1, 4), (10, 1, 4), (10, 3, 4), (60, 2, 1)]
)
def test_ten_times_more_jobs_than_slots_are_neither_snoozed_nor_written_about(
    engine, clock, per_minute, requests, minutes
):
    app_id = make_app(engine)
    due = 10 * minutes * per_minute // requests
    make_jobs(engine, due, app_id=app_id, slot=NOON - MINUTE)
    hosts = Hosts(engine, clock, per_minute, requests=requests)

    hosts.run(minutes * MINUTE)

    judge(hosts, minutes=minutes)


def test_jobs_that_rabbitmq_brings_faster_than_the_limit_go_back_into_the_ledger_once(
    engine, clock
):
    app_id = make_app(engine)
    for minute in range(PLAYED):
        make_jobs(engine, 100, app_id=app_id, slot=NOON + (minute + 0.5) * MINUTE)
    hosts = Hosts(engine, clock, 10)

    hosts.run((PLAYED + 1) * MINUTE)

    judge(hosts, minutes=PLAYED + 0.5)
    with transaction(engine) as tx:
        most = "SELECT max(dispatch_no) FROM ifood_jobs"
        assert tx.execute(text(most)).scalar_one() <= 2


def test_a_high_priority_goes_first_although_others_are_due_for_longer(engine, clock):
    app_id = make_app(engine)
    make_jobs(engine, 200, app_id=app_id, slot=NOON - 10 * MINUTE)
    hosts = Hosts(engine, clock, 10)
    hosts.run(MINUTE)
    high = {job.id for job in make_jobs(engine, 20, app_id=app_id, slot=clock.now, priority=9)}
    before = len(hosts.finished)

    hosts.run(4 * MINUTE)

    after = [job_id in high for job_id in hosts.finished[before:]]
    assert sum(after) == len(high)
    # Those that were let go before it was known stay ahead of it: what 30 s of the limit serve.
    overtaken = after[: len(after) - after[::-1].index(True)].count(False)
    assert overtaken <= 6


def test_a_slow_application_leaves_threads_to_others(engine, clock):
    slow, quick = make_app(engine, "slow"), make_app(engine, "quick")
    make_jobs(engine, 100, app_id=slow, slot=NOON - MINUTE)
    hosts = Hosts(engine, clock, 20)
    hosts.run(MINUTE)

    assert len(hosts.free) >= hosts.threads / 2
    mine = {job.id for job in make_jobs(engine, 5, app_id=quick, slot=clock.now)}
    hosts.run(MINUTE)
    assert mine <= set(hosts.finished)


def message_of(engine, job_id):
    return JobMessage(job_id, row_of(engine, job_id)["dispatch_no"])


@pytest.fixture
def full(engine):
    """Give an admission at which no slot is near, and the application."""
    app_id, rates = make_app(engine), {"financial": 5}
    pace = Limiter(engine, rates=rates)  # type: ignore[arg-type] # the one group
    for _ in range(5):
        pace.reserve(app_id, "financial", max_wait=timedelta(minutes=5))
    return Admission(engine, pace, actor="worker"), app_id


def test_a_job_for_which_there_was_room_comes_again_and_is_not_claimed(engine, full):
    admission, app_id = full
    [job] = make_jobs(engine, app_id=app_id)
    dispatch(engine, job.id)
    with transaction(engine) as tx:
        before = tx.execute(text("SELECT wake_at FROM ifood_jobs")).scalar_one()

    with pytest.raises(Throttled) as raised:
        admission.turn(message_of(engine, job.id), kind="sales")

    assert timedelta(seconds=10) < raised.value.after < timedelta(minutes=2)
    row = row_of(engine, job.id)
    assert (row["status"], row["attempts"], row["dispatch_no"]) == ("pending", 0, 1)
    assert row["wake_at"] == before + raised.value.after  # the relay looks as long after it
    assert acts_of(engine, job.id) == ["plan", "dispatch"]


def test_a_job_that_was_sent_ahead_goes_back_and_the_relay_sends_it_anew(engine, full):
    admission, app_id = full
    [job] = make_jobs(engine, app_id=app_id)
    dispatch(engine, job.id)
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_jobs SET dispatched_at = scheduled_for - INTERVAL '1 h'"))

    assert admission.turn(message_of(engine, job.id), kind="sales") is None

    row = row_of(engine, job.id)
    assert (row["status"], row["dispatched_at"], row["attempts"]) == ("pending", None, 0)
    with transaction(engine) as tx:
        [overdue] = tx.execute(text("SELECT wake_at <= now() FROM ifood_jobs")).scalars()
    assert overdue  # whatever happens next, the relay finds it
    assert acts_of(engine, job.id) == ["plan", "dispatch"]


def test_where_nobody_queues_a_turn_costs_nothing(engine):
    rates = {"financial": 180}
    pace = Limiter(engine, rates=rates)  # type: ignore[arg-type] # the one group
    admission = Admission(engine, pace, actor="worker")
    [job] = make_jobs(engine, app_id=make_app(engine))
    dispatch(engine, job.id)

    assert admission.turn(message_of(engine, job.id), kind="sales") == Turn(reservation=None)


def test_there_is_room_for_what_half_a_minute_serves_and_each_application_has_its_own():
    north, south = uuid4(), uuid4()
    budget = SlotBudget(RelayRate(60), named={(north, "sales"): 10})

    let_go = [sum(budget.take(app, "sales") for _ in range(100)) for app in (north, south)]

    assert let_go == [5, 30]  # a request takes a little more than its share of the minute
    assert budget.full == {north, south}
    assert budget.take(None, "sales")
    assert PLENTY.look_ahead == timedelta(seconds=30)


@pytest.mark.parametrize(("after", "delay"), [(12.3, 12_300), (0.0, None)])
def test_a_message_that_was_put_off_is_published_again_with_its_delay(engine, after, delay):
    """And one whose worker stops, at once."""
    published = []

    class Publisher(StubBroker):
        def enqueue(self, message, *, delay=None):
            published.append((JobMessage.from_message(message), delay))
            return message

    rates = {"financial": 5}
    pace = Limiter(engine, rates=rates)  # type: ignore[arg-type] # the one group
    backoff = Backoff(MINUTE, MINUTE)
    retries = LedgerRetry(engine, pace, backoff=backoff, max_attempts=3, actor="worker")
    ours = JobMessage(uuid4(), 1)

    retries.after_process_message(
        Publisher(),
        MessageProxy(dramatiq_message("sales", ours)),
        exception=Throttled("no slot", after=timedelta(seconds=after)),
    )

    assert published == [(ours, delay)]
