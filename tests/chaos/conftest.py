"""One world for all scenarios: to start its processes takes longer than to break one."""

import secrets
from collections.abc import Iterator

import psycopg
import pytest
from chaos.recovery import Recovery
from chaos.world import World, world
from sqlalchemy import make_url

from ifood_actors import migrations
from ifood_actors.embedded.postgres import PrivatePostgres
from ifood_actors.embedded.rabbitmq import PrivateRabbit

_measured = pytest.StashKey[list[str]]()


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
    name, password = f"chaos-{secrets.token_hex(4)}", secrets.token_hex(16)
    with psycopg.connect(breakable_postgres.url, autocommit=True) as connection:
        # No superuser: to those the server grants connections beyond every limit.
        connection.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'".encode())
        connection.execute(f'CREATE DATABASE "{name}" OWNER "{name}"'.encode())
    admin_url = make_url(breakable_postgres.url).set(database=name)
    database_url = admin_url.set(username=name, password=password)
    migrations.upgrade(database_url.render_as_string(hide_password=False))
    with world(
        tmp_path_factory.mktemp(name, numbered=False),
        database_url=database_url.render_as_string(hide_password=False),
        admin_url=admin_url.render_as_string(hide_password=False),
        postgres=breakable_postgres,
        rabbit=breakable_rabbit,
    ) as built:
        yield built


@pytest.fixture
def chaos(shared_world: World) -> World:
    """Lend the world, whole again whatever the scenario before has left."""
    shared_world.heal()
    return shared_world


@pytest.fixture
def recovery(request: pytest.FixtureRequest) -> Recovery:
    measured = request.config.stash.setdefault(_measured, [])
    return Recovery(request.node.name.removeprefix("test_"), measured.append)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if lines := config.stash.get(_measured, []):
        terminalreporter.section("recovery times")
        for line in lines:
            terminalreporter.write_line(line)
