from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from ifood_simulator.limits import Limits

WINDOW = 60.0


def make_limits(limit: int | None) -> Limits:
    return Limits({"financial": limit, "merchant": 10, "oauth": 20}, window=WINDOW)


def asker(limits: Limits, client_id: str = "app") -> Callable[[float], bool]:
    return lambda at: limits.ask(client_id, "financial", at=at).allowed


@given(
    pauses=st.lists(st.floats(min_value=0, max_value=40), max_size=80),
    limit=st.integers(min_value=1, max_value=8),
)
def test_no_window_holds_more_than_the_limit_and_none_is_refused_below_it(pauses, limit):
    ask = asker(make_limits(limit))
    allowed: list[float] = []
    at = 0.0
    for pause in pauses:
        at += pause
        recent = [instant for instant in allowed if instant > at - WINDOW]
        assert ask(at) == (len(recent) < limit)
        if len(recent) < limit:
            allowed.append(at)


def test_a_request_leaves_the_window_exactly_when_it_ends():
    ask = asker(make_limits(1))

    assert [ask(0.0), ask(59.999), ask(60.0)] == [True, False, True]


def test_refused_requests_do_not_use_up_the_limit_but_count_as_the_worst():
    limits = make_limits(2)
    ask = asker(limits)

    outcomes = [ask(at) for at in (0.0, 1.0, 2.0, 3.0, 60.0)]

    assert outcomes == [True, True, False, False, True]
    assert limits.stats()[0]["worst"] == 4


def test_applications_and_groups_are_counted_apart():
    limits = make_limits(1)

    assert limits.ask("one", "financial", at=0).allowed
    assert limits.ask("two", "financial", at=0).allowed
    assert limits.ask("one", "merchant", at=0).allowed
    assert not limits.ask("one", "financial", at=0).allowed


def test_the_headers_say_what_is_left_and_when_the_next_may_come():
    limits = make_limits(2)
    limits.ask("app", "financial", at=0.0)

    verdict = limits.ask("app", "financial", at=10.5)
    refused = limits.ask("app", "financial", at=30.5)

    assert verdict.headers() == {
        "X-RateLimit-Limit": "2",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "50",
    }
    assert (refused.allowed, refused.reset) == (False, 30)


def test_no_limit_allows_all_and_has_no_headers():
    limits = make_limits(None)

    verdicts = [limits.ask("app", "financial", at=0.0) for _ in range(100)]

    assert all(verdict.allowed for verdict in verdicts)
    assert verdicts[0].headers() == {}
    assert limits.stats()[0]["worst"] == 100


def test_a_limit_can_change_at_run_time():
    limits = make_limits(1)
    ask = asker(limits)
    ask(0.0)

    limits.set("financial", 2)

    assert [ask(1.0), ask(2.0)] == [True, False]


def test_stats_count_the_answers_by_status():
    limits = make_limits(5)
    for status in (200, 404, 200):
        limits.ask("app", "financial", at=0.0)
        limits.answered("app", "financial", status)

    assert limits.stats() == [
        {
            "client_id": "app",
            "group": "financial",
            "total": 3,
            "by_status": {"200": 2, "404": 1},
            "worst": 3,
            "limit": 5,
        }
    ]
