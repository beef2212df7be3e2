import re
from threading import Event

import httpx
import pytest
from simulated import CENTRAL, TODAY, WEEK, ask_token, authorize, credentials, get

from ifood_actors.simulator import Settings, running


def test_one_request_more_than_the_limit_is_429_until_the_window_has_passed():
    window = 4.0  # seconds, into which six requests fit
    settings = Settings(merchants=3, today=TODAY, financial_per_minute=4, window_seconds=window)
    with running(settings) as simulator, httpx.Client(base_url=simulator.url) as client:
        authorize(client, credentials(CENTRAL))
        merchant = simulator.merchants()[0]

        answers = [get(client, merchant, "sales", **WEEK) for _ in range(6)]
        Event().wait(window)
        later = get(client, merchant, "sales", **WEEK)

        assert [answer.status_code == 429 for answer in answers] == [False] * 4 + [True] * 2
        assert answers[-1].headers["X-RateLimit-Limit"] == "4"
        assert answers[-1].headers["X-RateLimit-Remaining"] == "0"
        assert 1 <= int(answers[-1].headers["X-RateLimit-Reset"]) <= window
        assert "Retry-After" not in answers[-1].headers
        assert later.status_code != 429
        (group,) = [g for g in simulator.stats()["groups"] if g["group"] == "financial"]  # type: ignore[attr-defined]  # JSON
        assert (group["total"], group["worst"], group["by_status"]["429"]) == (7, 6, 2)


@pytest.mark.parametrize(("style", "pattern"), [("seconds", r"^\d+$"), ("date", r"GMT$")])
def test_a_429_may_carry_retry_after(style, pattern):
    settings = Settings(merchants=1, oauth_per_minute=1, retry_after=style)
    with running(settings) as simulator, httpx.Client(base_url=simulator.url) as client:
        authorize(client, credentials(CENTRAL))

        refused = ask_token(client, credentials(CENTRAL))

        assert refused.status_code == 429
        assert re.search(pattern, refused.headers["Retry-After"])


def test_the_oauth_limit_is_twenty_and_can_be_changed(client):
    statuses = [ask_token(client, credentials(CENTRAL)).status_code for _ in range(20)]
    client.post("/_simulator/limits", json={"oauth": None}).raise_for_status()

    assert statuses == [200] * 19 + [429]
    assert ask_token(client, credentials(CENTRAL)).status_code == 200
