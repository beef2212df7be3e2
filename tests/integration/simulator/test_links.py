"""Stores that are linked with their application, and those that are not yet or no longer."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from integration.simulator.asking import (
    BOOKSHOP,
    CENTRAL,
    TODAY,
    WEEK,
    authorize,
    client_of,
    credentials,
    get,
    store,
    truth,
)
from support.clock import eventually

from ifood_simulator import App, Settings, Simulator, running

OWNED = App(name="owned", client_id="e" * 36, client_secret="s", kind="distributed", owners=3)


@contextmanager
def spreading(seconds: float) -> Iterator[tuple[Simulator, httpx.Client]]:
    settings = Settings(merchants=10, apps=(CENTRAL, OWNED), today=TODAY, spread_seconds=seconds)
    with running(settings) as simulator, client_of(simulator) as client:
        yield simulator, client


def confirm(simulator: Simulator, client: httpx.Client) -> None:
    """Sign in for the stores that the next owner has just confirmed."""
    form = {"clientId": OWNED.client_id}
    started = client.post("/authentication/v1.0/oauth/userCode", data=form).json()
    form = credentials(
        OWNED,
        grantType="authorization_code",
        authorizationCode=simulator.authorize(started["userCode"]),
        authorizationCodeVerifier=started["authorizationCodeVerifier"],
    )
    authorize(client, form)


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


def test_a_store_stays_403_and_in_no_list_until_its_link_has_spread():
    with spreading(3600) as (simulator, client):
        merchant = simulator.merchants()[0]
        simulator.unlink(merchant.id)
        simulator.link(merchant.id)
        authorize(client, credentials(CENTRAL))

        assert get(client, merchant, "sales", **WEEK).status_code == 403
        assert merchant.id not in visible(client)
        confirm(simulator, client)
        assert visible(client) == set()


def test_a_link_takes_its_time_to_spread():
    with spreading(1) as (simulator, client):
        merchant = simulator.merchants()[0]
        simulator.unlink(merchant.id)
        linked = time.monotonic()
        simulator.link(merchant.id)
        authorize(client, credentials(CENTRAL))

        eventually(lambda: merchant.id in visible(client))
        assert time.monotonic() - linked >= 1
        assert get(client, merchant, "sales", **WEEK).status_code != 403


def test_each_owner_authorizes_their_own_stores():
    seen: list[set[str]] = []
    with spreading(1) as (simulator, client):
        for _ in range(OWNED.owners):
            confirm(simulator, client)
            seen.append(eventually(lambda: visible(client)))
        mine = {merchant.id for merchant in simulator.merchants() if merchant.app == OWNED}

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
