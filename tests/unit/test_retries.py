from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.delivery.retries import Backoff, Fail, LetGo, Retry, Snooze, decide
from ifood_actors.errors import (
    CredentialsRefused,
    DatabaseFault,
    Forbidden,
    Foreign,
    GatewayFault,
    JobError,
    LeaseLost,
    NeedsAuthorization,
    Rejected,
    SchemaBroken,
    ServerFault,
    Throttled,
    TimeLimitReached,
    Unauthorized,
)

BACKOFF = Backoff(base=timedelta(minutes=5), cap=timedelta(minutes=60))
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)


def settle(error, *, attempts=1):
    return decide(error, attempts=attempts, max_attempts=3, backoff=BACKOFF, jitter=0)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Rejected("no", status=400), "rejected"),
        (Rejected("no", status=422), "rejected"),
        (Forbidden("no", status=403), "forbidden"),
        (Unauthorized("no"), "unauthorized"),
        (CredentialsRefused("no"), "credentials"),
        (NeedsAuthorization("no"), "needs_authorization"),
    ],
)
def test_what_will_never_work_fails_at_once(error, code):
    assert settle(error, attempts=1) == Fail(code)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ServerFault("503"), "server_fault"),
        (GatewayFault('403 HTML page "blocked"', status=403), "gateway"),
        (DatabaseFault("gone"), "database"),
        (TimeLimitReached("slow"), "time_limit"),
        (JobError("unexpected"), "unknown"),
        (ValueError("a bug"), "unknown"),
    ],
)
def test_what_may_work_later_backs_off_until_the_attempts_are_used_up(error, code):
    assert settle(error, attempts=1) == Retry(5 * MINUTE, code)
    assert settle(error, attempts=2) == Retry(10 * MINUTE, code)
    assert settle(error, attempts=3) == Fail(code)


def test_a_throttled_job_waits_whatever_its_attempts():
    assert settle(Throttled("429", after=7 * MINUTE), attempts=3) == Snooze(7 * MINUTE)


@pytest.mark.parametrize("error", [SchemaBroken("html"), Foreign("another merchant")])
def test_a_broken_schema_and_an_answer_about_somebody_else_are_asked_for_once_more(error):
    assert settle(error, attempts=1) == Retry(5 * MINUTE, error.code)
    assert settle(error, attempts=2) == Fail(error.code)


def test_a_job_that_belongs_to_another_is_let_go():
    assert settle(LeaseLost("taken")) == LetGo()


durations = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=7))


@given(base=durations, cap=durations, attempts=st.integers(1, 10_000), jitter=st.floats(0, 1))
def test_a_backoff_doubles_up_to_its_cap_and_jitter_adds_a_tenth_at_most(
    base, cap, attempts, jitter
):
    wait = Backoff(base, cap).wait(attempts, jitter=jitter)

    # In whole microseconds, of which Python has as many as it takes.
    doubled = base // MICROSECOND * 2 ** (attempts - 1)
    documented = min(cap // MICROSECOND, doubled) * MICROSECOND
    assert documented <= wait <= documented * 1.1 + MICROSECOND
