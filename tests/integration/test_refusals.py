"""Refusals of the token endpoint: one decides nothing, and an outage that says 401 costs none."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text
from support.clock import eventually
from support.distributed import (
    BOOKSHOP,
    Asked,
    asking,
    authorize,
    expire,
    pass_by,
    process,
    register,
    stored,
)
from support.world import KEY as FLEET_KEY
from support.world import stand_up

from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.errors import CredentialsRefused, NeedsAuthorization, Throttled
from ifood_actors.ifood.http import ApiIdentity
from ifood_actors.ifood.http.transport import http_client
from ifood_actors.ifood.tokens import Cipher
from ifood_actors.scheduler.refresher import Refresher
from ifood_simulator import Fault, Simulator, running
from ifood_simulator import Settings as World

pytestmark = pytest.mark.services

OWNERS = 16
A_MINUTES_CALLS = 14
REFUSED = Fault("refused_refresh")


@pytest.fixture(scope="module")
def world() -> Iterator[Simulator]:
    settings = World(merchants=OWNERS, apps=(BOOKSHOP,), oauth_per_minute=None, no_plan_share=0)
    with running(settings) as simulator:
        yield simulator


@pytest.fixture
def simulator(world: Simulator) -> Iterator[Simulator]:
    yield world
    world.clear_faults()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with http_client(threads=8) as http:
        yield http


@pytest.fixture
def asked(simulator: Simulator, http: httpx.Client) -> Asked:
    return Asked(asking(simulator, http))


@pytest.fixture
def owners(engine: Engine, simulator: Simulator, http: httpx.Client) -> list[ApiIdentity]:
    """Give one authorization for each store."""
    register(engine)
    numbered = enumerate(merchant.id for merchant in simulator.merchants())
    with ThreadPoolExecutor(4) as pool:
        return list(
            pool.map(
                lambda one: authorize(engine, simulator, http, [one[1]], label=f"owner {one[0]}"),
                numbered,
            )
        )


@pytest.fixture
def one(engine: Engine, owners: list[ApiIdentity]) -> ApiIdentity:
    expire(engine)
    return owners[0]


def rows(engine: Engine, statement: str) -> list[Any]:
    with transaction(engine) as tx:
        return list(tx.execute(text(statement)))


def make_due(engine: Engine) -> None:
    """Let all refresh tokens be so old that they are renewed; the access tokens live."""
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_authorizations SET refresh_expires_at = now() + '3 days'"))


def needing(engine: Engine) -> list[str]:
    found = rows(
        engine,
        "SELECT name FROM ifood_authorizations WHERE needs_authorization_since IS NOT NULL",
    )
    return [row.name for row in found]


def test_one_refusal_costs_no_authorization_and_the_second_minutes_later_decides(
    engine, simulator, one, asked, caplog
):
    simulator.add_fault(REFUSED)

    for _ in range(3):
        with pytest.raises(Throttled) as waiting:
            process(engine, asked).token(one)
    after_one = (asked.calls, needing(engine))
    pass_by(engine, 6)
    for _ in range(2):
        with pytest.raises(NeedsAuthorization, match="apps authorize bookshop"):
            process(engine, asked).token(one)

    assert after_one == (1, [])
    assert timedelta(minutes=4) < waiting.value.after <= timedelta(minutes=5)
    assert (asked.calls, needing(engine)) == (2, ["owner 0"])
    assert caplog.text.count("authorization.needed") == 1


def test_an_authorization_that_was_refused_by_mistake_goes_on_by_itself(
    engine, simulator, one, asked
):
    simulator.add_fault(Fault("refused_refresh", times=1))
    with pytest.raises(Throttled):
        process(engine, asked).token(one)

    pass_by(engine, 6)

    assert process(engine, asked).token(one)
    assert stored(engine, one, "refused_since") is None


def test_a_second_refusal_at_once_decides_nothing(engine, simulator, one, asked):
    simulator.add_fault(REFUSED)
    tokens = process(engine, asked)

    for _ in range(2):
        with pytest.raises(NeedsAuthorization, match="401 Invalid refresh token"):
            tokens.retry(one)

    assert (asked.calls, needing(engine)) == (2, [])


def test_a_refresh_token_past_its_life_needs_no_second_refusal(engine, simulator, one, asked):
    expire(engine, refreshed_ago="169 h")
    simulator.add_fault(REFUSED)

    with pytest.raises(NeedsAuthorization):
        process(engine, asked).token(one)

    assert needing(engine) == ["owner 0"]


@pytest.mark.parametrize(
    "fault",
    [
        NeedsAuthorization("401 Invalid refresh token"),
        CredentialsRefused("401 Bad credentials", of_application=True),
    ],
    ids=["refresh token", "credentials"],
)
def test_living_tokens_stay_in_use_whatever_is_refused(engine, owners, asked, fault):
    asked.fault = fault
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_authorizations SET renew_at = now()"))

    for _ in range(2):
        for identity in owners:
            assert process(engine, asked).token(identity)
        pass_by(engine, 6)

    assert needing(engine) == []


def test_an_outage_that_answers_401_flags_no_authorization_and_ends_by_itself(
    engine, simulator, owners, asked, caplog
):
    make_due(engine)
    settings = Settings.model_validate({})
    refresher = Refresher(engine, settings, tokens=process(engine, asked), batch=A_MINUTES_CALLS)
    simulator.add_fault(REFUSED)

    for _ in range(20):  # minutes
        refresher.run()
        pass_by(engine, 1)
    refused = asked.calls
    assert needing(engine) == []
    # Three in a row stop it, those under way come to their end, and then one a minute tries.
    assert refused <= 3 + 2 + 20 * 3
    assert "tokens.stopped" in caplog.text
    for identity in owners:
        assert process(engine, asked).token(identity)

    simulator.clear_faults()
    for _ in range(7):
        pass_by(engine, 1)
        refresher.run()

    assert rows(engine, "SELECT FROM ifood_authorizations WHERE refused_at IS NOT NULL") == []
    assert asked.calls - refused == OWNERS


def test_void_authorizations_among_good_ones_are_found_and_the_good_ones_renewed(
    engine, simulator, owners, asked
):
    make_due(engine)
    void = [merchant.id for merchant in simulator.merchants()][:5]
    for merchant in void:
        simulator.add_fault(Fault("refused_refresh", merchant=merchant))
    settings = Settings.model_validate({})
    refresher = Refresher(engine, settings, tokens=process(engine, asked), batch=A_MINUTES_CALLS)

    for _ in range(120):
        refresher.run()
        pass_by(engine, 1)
        if len(needing(engine)) == len(void):
            break

    assert sorted(needing(engine)) == [f"owner {number}" for number in range(5)]
    good = "SELECT FROM ifood_authorizations WHERE refresh_expires_at > now() + '6 days'"
    assert len(rows(engine, good)) == len(owners) - len(void)


def test_new_credentials_clear_the_flag_for_one_more_try(engine, one, asked):
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_authorizations SET needs_authorization_since = now()"))
    with pytest.raises(NeedsAuthorization):
        process(engine, asked).token(one)

    register(engine)

    assert process(engine, asked).token(one)
    assert asked.calls == 1


def test_an_authorization_is_tried_again_on_demand(engine, simulator, one, asked):
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_authorizations SET needs_authorization_since = now()"))
    simulator.add_fault(Fault("refused_refresh", times=1))
    tokens = process(engine, asked)

    with pytest.raises(NeedsAuthorization):
        tokens.retry(one)
    assert "owner 0" in needing(engine)
    tokens.retry(one)

    assert "owner 0" not in needing(engine)
    assert process(engine, asked).token(one)


def test_jobs_wait_uncharged_until_the_second_refusal(simulator, http, database_url, broker_url):
    with (
        stand_up(simulator, database_url=database_url, broker_url=broker_url) as ifood,
        ifood.working(),
    ):
        cipher = Cipher([FLEET_KEY])
        stores = [merchant.id for merchant in simulator.merchants()]
        identity = authorize(ifood.engine, simulator, http, stores, cipher=cipher)
        with transaction(ifood.engine) as tx:
            tx.execute(
                text("UPDATE accounts SET authorization_id = :id"),
                {"id": identity.authorization_id},
            )
        expire(ifood.engine)
        simulator.add_fault(Fault("refused_refresh", times=1))

        ifood.plan("anticipations_daily")
        eventually(
            lambda: len(ifood.rows("SELECT FROM ifood_jobs WHERE next_retry_at > now()")) == OWNERS
        )
        waiting = ifood.rows("SELECT DISTINCT status, attempts FROM ifood_jobs")
        pass_by(ifood.engine, 6)
        with transaction(ifood.engine) as tx:
            tx.execute(text("UPDATE ifood_jobs SET next_retry_at = now(), wake_at = now()"))
        eventually(ifood.idle)

        assert waiting == [{"status": "pending", "attempts": 0}]
        assert ifood.rows("SELECT FROM ifood_jobs WHERE status <> 'success'") == []
