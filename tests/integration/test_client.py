"""The whole client, with real tokens and pace, against the simulated iFood."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import httpx
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine

from ifood_actors.db import transaction
from ifood_actors.errors import ServerFault, Throttled, Unauthorized
from ifood_actors.ifood.connect import shared_access
from ifood_actors.ifood.http import ApiIdentity, AppCredentials, IfoodClient
from ifood_actors.ifood.http.answers import JsonValue
from ifood_actors.ifood.http.token_requests import request_token
from ifood_actors.ifood.http.transport import http_client
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.request_slots import EndpointGroup
from ifood_actors.ifood.tables import AppKind
from ifood_actors.ifood.tokens import Cipher, Tokens, register_app
from ifood_simulator import Fault, Settings, Simulator, running
from ifood_simulator.settings import DEFAULT_CLIENT_ID, DEFAULT_CLIENT_SECRET

pytestmark = pytest.mark.services

CIPHER = Cipher([Fernet.generate_key().decode()])
RATES: dict[EndpointGroup, int] = {"financial": 6000, "merchant": 6000, "oauth": 600}
SPAN = {"beginCalculationDate": "2026-01-01", "endCalculationDate": "2026-01-20"}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(Settings(merchants=150, no_plan_share=0, oauth_per_minute=None)) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def calm(simulator: Simulator) -> None:
    simulator.clear_faults()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with http_client(threads=2) as http:
        yield http


@pytest.fixture
def client(engine: Engine, simulator: Simulator, http: httpx.Client) -> IfoodClient:
    limiter = Limiter(engine, rates=RATES)
    request = partial(request_token, http=http, base_url=simulator.url)
    tokens = Tokens(engine, cipher=CIPHER, limiter=limiter, request=request)
    return IfoodClient(base_url=simulator.url, http=http, access=shared_access(tokens, limiter))


def register(engine: Engine, *, secret: str = DEFAULT_CLIENT_SECRET) -> ApiIdentity:
    credentials = AppCredentials(DEFAULT_CLIENT_ID, secret)
    with transaction(engine) as session:
        app_id = register_app(
            session, CIPHER, name="app", kind=AppKind.CENTRALIZED, credentials=credentials
        )
    return ApiIdentity(app_id)


@pytest.fixture
def central(engine: Engine) -> ApiIdentity:
    return register(engine)


def anticipations(client: IfoodClient, central: ApiIdentity, simulator: Simulator) -> JsonValue:
    merchant = simulator.merchants()[0].id
    return client.merchant(central, merchant, on_progress=lambda: None).get("anticipations", SPAN)


def test_data_comes_through(client, central, simulator):
    assert anticipations(client, central, simulator)


def test_all_stores_of_the_application_are_found(client, central, simulator):
    found = {store.id for store in client.merchants(central)}

    assert found == {merchant.id for merchant in simulator.merchants()}
    assert len(found) == 150


def test_a_token_that_expires_in_mid_job_is_renewed(client, central, simulator):
    anticipations(client, central, simulator)
    simulator.add_fault(Fault("expired_token", times=1))

    assert anticipations(client, central, simulator)


def test_a_store_that_refuses_every_token_is_unauthorized(client, central, simulator):
    simulator.add_fault(Fault("status", status=401, resource="anticipations"))

    with pytest.raises(Unauthorized):
        anticipations(client, central, simulator)


def test_a_429_stops_the_application_until_the_window_opens(client, central, simulator):
    simulator.add_fault(
        Fault(
            "status", status=429, headers={"Retry-After": "2700"}, times=1, resource="anticipations"
        )
    )

    with pytest.raises(Throttled):
        anticipations(client, central, simulator)
    with pytest.raises(Throttled, match="no financial request is free") as raised:
        anticipations(client, central, simulator)

    assert timedelta(minutes=40) < raised.value.after <= timedelta(minutes=45)


@pytest.mark.parametrize("name", ["cut", "truncated", "redirect"])
def test_a_spoiled_answer_is_a_server_fault(client, central, simulator, name):
    simulator.add_fault(Fault(name, resource="anticipations"))

    with pytest.raises(ServerFault):
        anticipations(client, central, simulator)


def test_a_huge_answer_is_a_server_fault(client, central, simulator):
    simulator.add_fault(Fault("huge", mebibytes=17, resource="anticipations"))

    with pytest.raises(ServerFault, match="larger than"):
        anticipations(client, central, simulator)


def test_wrong_credentials_are_asked_about_again_after_some_minutes(engine, client, simulator):
    with pytest.raises(Throttled, match="iFood refused once: 401"):
        anticipations(client, register(engine, secret="wrong"), simulator)
