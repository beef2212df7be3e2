"""One simulator for each file, as freshly started for each test."""

from collections.abc import Iterator

import httpx
import pytest
from integration.simulator.asking import CENTRAL, SETTINGS, authorize, client_of, credentials

from ifood_simulator import Simulator, running


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    with running(SETTINGS) as simulator:
        yield simulator


@pytest.fixture
def simulator(server: Simulator) -> Simulator:
    server.reset()
    return server


@pytest.fixture
def client(simulator: Simulator) -> Iterator[httpx.Client]:
    """Signed in as the centralised application."""
    with client_of(simulator) as client:
        authorize(client, credentials(CENTRAL))
        yield client
