import re
from time import monotonic

import pytest
from integration.simulator.asking import (
    CENTRAL,
    TODAY,
    WEEK,
    ask_token,
    authorize,
    client_of,
    credentials,
    get,
)
from support.clock import eventually

from ifood_simulator import Settings, running


def test_one_request_more_than_the_limit_is_429():
    settings = Settings(merchants=3, today=TODAY, financial_per_minute=4)
    with running(settings) as simulator, client_of(simulator) as client:
        authorize(client, credentials(CENTRAL))
        merchant = simulator.merchants()[0]

        answers = [get(client, merchant, "sales", **WEEK) for _ in range(6)]

        assert [answer.status_code == 429 for answer in answers] == [False] * 4 + [True] * 2
        assert answers[-1].headers["X-RateLimit-Limit"] == "4"
        assert answers[-1].headers["X-RateLimit-Remaining"] == "0"
        assert 1 <= int(answers[-1].headers["X-RateLimit-Reset"]) <= 60
        assert "Retry-After" not in answers[-1].headers
        (group,) = [g for g in simulator.stats()["groups"] if g["group"] == "financial"]  # type: ignore[attr-defined]  # JSON
        assert (group["total"], group["worst"], group["by_status"]["429"]) == (6, 6, 2)


def test_a_window_that_has_passed_lets_requests_through_again():
    settings = Settings(merchants=1, today=TODAY, financial_per_minute=1, window_seconds=1)
    with running(settings) as simulator, client_of(simulator) as client:
        authorize(client, credentials(CENTRAL))
        merchant = simulator.merchants()[0]
        begun = monotonic()

        first = get(client, merchant, "sales", **WEEK)
        eventually(lambda: get(client, merchant, "sales", **WEEK).status_code != 429)

        assert first.status_code != 429
        assert monotonic() - begun >= 1


@pytest.mark.parametrize(("style", "pattern"), [("seconds", r"^\d+$"), ("date", r"GMT$")])
def test_a_429_may_carry_retry_after(style, pattern):
    settings = Settings(merchants=1, oauth_per_minute=1, retry_after=style)
    with running(settings) as simulator, client_of(simulator) as client:
        authorize(client, credentials(CENTRAL))

        refused = ask_token(client, credentials(CENTRAL))

        assert refused.status_code == 429
        assert re.search(pattern, refused.headers["Retry-After"])


def test_the_oauth_limit_is_twenty_and_can_be_changed(client):
    statuses = [ask_token(client, credentials(CENTRAL)).status_code for _ in range(20)]
    client.post("/_simulator/limits", json={"oauth": None}).raise_for_status()

    assert statuses == [200] * 19 + [429]
    assert ask_token(client, credentials(CENTRAL)).status_code == 200
