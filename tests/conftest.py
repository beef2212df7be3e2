"""Settings and services of the tests; a service starts when the first test asks for it."""

import os
import secrets
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

import psycopg
import pytest
from chaos.recovery import RECOVERY
from hypothesis import settings
from sqlalchemy import Engine, make_url
from support.clock import PATIENCE_SECONDS
from support.logins import PREFIX, Login, add_users, apply_roles, lend_logins, logins, permit
from support.servers import find_program

from ifood_actors import migrations
from ifood_actors.db import connect
from ifood_actors.embedded import database, docker, services
from ifood_actors.embedded.docker import Compose
from ifood_actors.embedded.postgres import installed_programs, wheel_programs
from ifood_actors.embedded.services import RunningPostgres, RunningRabbit
from ifood_actors.errors import ServiceUnavailable

T = TypeVar("T")

CI = os.environ.get("CI") == "true"
CHAOS = Path(__file__).with_name("chaos")
UNIT = Path(__file__).with_name("unit")

settings.register_profile("laptop", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if CI else "laptop")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--part",
        choices=["together", "chaos", "unit", "alone"],
        help="only the tests that may run beside others, those of chaos or unit, or those that"
        " must not",
    )


def pytest_configure() -> None:
    # Workers of xdist ignore Ctrl-C, and so would every program that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files that have no test of this part: to import them all takes half a minute."""
    part = config.getoption("part")
    if part is None or not collection_path.name.startswith("test_"):
        return None
    if part == "alone":
        return "pytest.mark.alone" not in collection_path.read_text() or None
    return _level(collection_path) != part or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    part = config.getoption("part")
    others = {item for item in items if part not in (None, _part(item))}
    config.hook.pytest_deselected(items=list(others))
    items[:] = [item for item in items if item not in others]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
    ]
    lines = [
        str(line) for report in reports for name, line in report.user_properties if name == RECOVERY
    ]
    if lines:
        terminalreporter.section("recovery times")
        for line in sorted(lines):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[RunningPostgres]:
    """TEST_DATABASE_URL, else the resolver's choice; fsync off where the server is ours."""
    url = os.environ.get("TEST_DATABASE_URL")
    if not url and docker.usable():
        yield RunningPostgres(url=_composed(request).postgres_url, source="docker")
        return
    with _required(services.postgres(url, durable=False)) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_programs(postgres_server: RunningPostgres) -> Path:
    """Give the folder with `psql` and `pg_dump`, of the server's version or a newer one."""
    with psycopg.connect(postgres_server.url) as connection:
        major = connection.info.server_version // 10_000
    folders = [folder for folder in (installed_programs(), wheel_programs()) if folder]
    fitting = [folder for folder in folders if _major_version(folder) >= major]
    return fitting[0] if fitting else _lacks(f"there is no pg_dump of Postgres {major} or newer")


@pytest.fixture(scope="session")
def pgbouncer_program() -> Path:
    return find_program() or _lacks("PgBouncer is not on this machine: Debian's pgbouncer")


@pytest.fixture(scope="session")
def rabbitmq_server(request: pytest.FixtureRequest) -> Iterator[RunningRabbit]:
    """TEST_BROKER_URL (a virtual host to use up), else the resolver's choice."""
    url = os.environ.get("TEST_BROKER_URL")
    with ExitStack() as stack:
        if not url and docker.usable():
            compose = _composed(request)
            server = RunningRabbit(
                url=compose.rabbitmq_url, source="docker", management=compose.management
            )
        else:
            server = stack.enter_context(_required(services.rabbitmq(url)))
        if server.management is not None:
            add_users(server.management)
        yield server


@pytest.fixture(scope="session")
def database_template(postgres_server: RunningPostgres) -> Iterator[str]:
    """Name a database with the schema that the migrations make, and with all logins."""
    with database(postgres_server.url) as url:
        migrations.upgrade(url)
        apply_roles(url)
        yield str(make_url(url).database)


@pytest.fixture
def database_url(postgres_server: RunningPostgres, database_template: str) -> Iterator[str]:
    """Lend a database of one's own, migrated and empty: its owner's URL, see `logins.py`."""
    server = postgres_server.url
    with database(server, template=database_template, prefix=PREFIX) as url:
        yield url


@pytest.fixture
def login(database_url: str) -> Login:
    """Give what tells the URL of each login, with its rights on the database itself as well."""
    return logins(database_url)


@pytest.fixture
def empty_database_url(postgres_server: RunningPostgres) -> Iterator[str]:
    """Lend a database of one's own with nothing in it."""
    with database(postgres_server.url) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    # The product's own 5 s, in which a machine may stand still, are tried again there.
    patient = make_url(database_url).update_query_dict({"connect_timeout": str(PATIENCE_SECONDS)})
    url = patient.render_as_string(hide_password=False)
    engine = connect(url, application_name="tests", pool_size=20)
    dispose_of_logins = lend_logins(engine, url)
    yield engine
    engine.dispose()
    dispose_of_logins()


@pytest.fixture
def broker_url(rabbitmq_server: RunningRabbit) -> Iterator[str]:
    """Lend a virtual host of one's own: the administrator's URL, see `logins.py`."""
    vhost = f"{PREFIX}{secrets.token_hex(4)}"
    with rabbitmq_server.vhost(vhost) as url:
        if rabbitmq_server.management is not None:
            permit(rabbitmq_server.management, vhost)
        yield url


@pytest.fixture(scope="session")
def compose() -> Iterator[Compose]:
    with docker.own_project() as compose:
        yield compose


# What follows is asked for by pytest-docker.


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    return str(docker.COMPOSE_FILE)


@pytest.fixture(scope="session")
def docker_compose_project_name(compose: Compose) -> str:
    return compose.project


@pytest.fixture(scope="session")
def docker_compose_command(compose: Compose) -> str:
    return shlex.join(compose.command)


@pytest.fixture(scope="session")
def docker_setup() -> list[str]:
    return [f"up --detach --wait {' '.join(docker.SERVICES)}"]


def _part(item: pytest.Item) -> str:
    """Tell beside what a test may run: a busy machine falsifies those that are marked `alone`."""
    if item.get_closest_marker("alone"):
        return "alone"
    return _level(item.path)


def _level(file: Path) -> str:
    levels = {CHAOS: "chaos", UNIT: "unit"}
    return next((levels[folder] for folder in file.parents if folder in levels), "together")


def _composed(request: pytest.FixtureRequest) -> Compose:
    """Start the containers by pytest-docker, which removes them at the session's end."""
    request.getfixturevalue("docker_services")
    compose = request.getfixturevalue("compose")
    assert isinstance(compose, Compose)
    return compose


@contextmanager
def _required(service: AbstractContextManager[T]) -> Iterator[T]:
    """Lend a service; without it the test is skipped on a laptop and fails in CI."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(service)
        except ServiceUnavailable as error:
            _lacks(str(error))
        yield running


def _major_version(programs: Path) -> int:
    said = subprocess.check_output([programs / "pg_dump", "--version"], text=True)
    return int(said.split()[2].partition(".")[0])  # `pg_dump (PostgreSQL) 15.18 (Debian ...)`


def _lacks(what: str) -> NoReturn:
    if CI:
        pytest.fail(what, pytrace=False)
    pytest.skip(what)
