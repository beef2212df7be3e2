"""One world for all scenarios: to start its processes takes longer than to break one of them."""

import secrets
from collections.abc import Callable, Iterator

import pytest
from chaos.recovery import RECOVERY, Recovery
from chaos.world import World, world
from support.logins import PREFIX

from ifood_actors.embedded.postgres import PrivatePostgres
from ifood_actors.embedded.rabbitmq import PrivateRabbit


@pytest.fixture(scope="session")
def breakable_postgres() -> Iterator[PrivatePostgres]:
    with PrivatePostgres() as server:
        yield server


@pytest.fixture(scope="session")
def breakable_rabbit() -> Iterator[PrivateRabbit]:
    with PrivateRabbit() as server:
        yield server


@pytest.fixture(scope="session")
def shared_world(
    breakable_postgres: PrivatePostgres,
    breakable_rabbit: PrivateRabbit,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    name = f"{PREFIX}chaos_{secrets.token_hex(4)}"
    folder = tmp_path_factory.mktemp(name, numbered=False)
    with world(folder, postgres=breakable_postgres, rabbit=breakable_rabbit) as built:
        yield built


@pytest.fixture
def chaos(shared_world: World) -> World:
    """Lend the world, whole again whatever the scenario before has left."""
    shared_world.heal()
    for host in shared_world.hosts.values():
        host.wait_until_ready()
    return shared_world


@pytest.fixture
def recovery(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Recovery:
    name = request.node.name.removeprefix("test_")
    return Recovery(name, lambda line: record_property(RECOVERY, line))
