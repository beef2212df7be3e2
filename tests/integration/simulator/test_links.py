"""Stores that are linked with their application, and those that are not yet or no longer."""

import time
from collections.abc import Iterator

import httpx
import pytest
from eventually import eventually
from simulated import BOOKSHOP, CENTRAL, TODAY, WEEK, authorize, credentials, get, store, truth

from ifood_actors.simulator import App, Settings, Simulator, running

OWNED = App(name="owned", client_id="e" * 36, client_secret="s", kind="distributed", owners=3)


@pytest.fixture
def slow_links() -> Iterator[Simulator]:
    settings = Settings(merchants=10, apps=(CENTRAL, OWNED), today=TODAY, spread_seconds=2)
    with running(settings) as simulator:
        yield simulator


def visible(client: httpx.Client) -> set[str]:
    return {row["id"] for row in client.get("/merchant/v1.0/merchants").json()}


def test_a_store_that_was_unlinked_is_403_until_a_new_token_comes(simulator, client):
    merchant = store(simulator)

    client.post("/_simulator/unlink", json={"merchant": merchant.id}).raise_for_status()
    unlinked = (
        get(client, merchant, "sales", **WEEK).status_code,
        truth(simulator, "sales", merchant),
    )
    client.post("/_simulator/link", json={"merchant": merchant.id}).raise_for_status()
    old_token = get(client, merchant, "sales", **WEEK).status_code
    authorize(client, credentials(CENTRAL))

    assert unlinked == (403, [])
    assert old_token == 403
    assert get(client, merchant, "sales", **WEEK).status_code == 200
    assert merchant.id in visible(client)


def test_a_link_takes_its_time_to_spread(slow_links):
    merchant = slow_links.merchants()[0]
    with httpx.Client(base_url=slow_links.url) as client:
        slow_links.unlink(merchant.id)
        linked = time.monotonic()
        slow_links.link(merchant.id)
        authorize(client, credentials(CENTRAL))

        assert get(client, merchant, "sales", **WEEK).status_code == 403
        assert merchant.id not in visible(client)
        eventually(lambda: merchant.id in visible(client))
        assert time.monotonic() - linked >= 2
        assert get(client, merchant, "sales", **WEEK).status_code != 403


def test_each_owner_authorizes_their_own_stores(slow_links):
    seen: list[set[str]] = []
    with httpx.Client(base_url=slow_links.url) as client:
        for _ in range(OWNED.owners):
            form = {"clientId": OWNED.client_id}
            started = client.post("/authentication/v1.0/oauth/userCode", data=form).json()
            form = credentials(
                OWNED,
                grantType="authorization_code",
                authorizationCode=slow_links.authorize(started["userCode"]),
                authorizationCodeVerifier=started["authorizationCodeVerifier"],
            )
            authorize(client, form)
            assert visible(client) == set(), "not spread yet"
            seen.append(eventually(lambda: visible(client)))

    mine = {merchant.id for merchant in slow_links.merchants() if merchant.app == OWNED}
    assert set().union(*seen) == mine
    assert sum(map(len, seen)) == len(mine)


@pytest.mark.parametrize("path", ["link", "unlink", "quirks"])
def test_a_merchant_that_does_not_exist_is_refused(client, path):
    answer = client.post(f"/_simulator/{path}", json={"merchant": "nobody", "quirk": "cut"})

    assert (answer.status_code, answer.json()) == (400, {"error": "unknown merchant 'nobody'"})


@pytest.mark.parametrize(
    "path", ["financial-events", "reconciliation", "reconciliation/on-demand/1"]
)
def test_what_is_not_built_says_so(simulator, client, path):
    merchant = next(m for m in simulator.merchants() if m.app == BOOKSHOP)

    answer = client.get(f"/financial/v3.0/merchants/{merchant.id}/{path}")

    assert answer.status_code == 501, "404 would mean that there is nothing"
