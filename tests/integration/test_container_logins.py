"""infra/docker/logins.py: what `docker compose up` gives each process to log in with."""

import importlib.util
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pika
import psycopg
import pytest
from support.logins import add_users, apply_roles, execute

from ifood_actors.embedded.management import Management
from ifood_actors.embedded.services import RunningPostgres, RunningRabbit

pytestmark = pytest.mark.services

FILE = Path(__file__).parents[2] / "infra/docker/logins.py"
Give = Callable[..., None]


@pytest.fixture(scope="module")
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("logins_of_compose", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def management(rabbitmq_server: RunningRabbit) -> Iterator[Management]:
    if rabbitmq_server.management is None:
        pytest.skip("TEST_BROKER_URL names a virtual host, and this makes one and its users")
    yield rabbitmq_server.management
    rabbitmq_server.management.delete_vhost("ifood")
    add_users(rabbitmq_server.management)


@pytest.fixture
def give(
    module: ModuleType,
    tmp_path: Path,
    database_url: str,
    rabbitmq_server: RunningRabbit,
    management: Management,
) -> Iterator[Give]:
    """Lend what the containers do, with the servers of the tests."""
    for role in module.USED_BY["database"]:
        (tmp_path / role).mkdir()
    servers = {"database": urlsplit(database_url), "broker": urlsplit(rabbitmq_server.url)}
    urls = {
        "database": f"postgresql://{{}}@{servers['database'].netloc.rpartition('@')[2]}"
        f"{servers['database'].path}",
        "broker": f"amqp://{{}}@127.0.0.1:{servers['broker'].port}/ifood",
    }

    def give(*, new: bool = False) -> None:
        module.give_logins(database_url, management, folder=tmp_path, urls=urls, new=new)

    yield give
    apply_roles(database_url)  # with the passwords that the other tests know


def url(folder: Path, role: str, service: str) -> str:
    return (folder / role / f"{service}_url").read_text()


def all_urls(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_each_process_logs_in_to_postgres_as_its_own_role_and_as_no_superuser(
    give, tmp_path, module
):
    give()

    seen = {}
    for role in module.USED_BY["database"]:
        with psycopg.connect(url(tmp_path, role, "database")) as connection:
            seen[role] = connection.execute(
                "SELECT current_user::text, rolsuper OR rolcreaterole OR rolcreatedb "
                "FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
    assert seen == {role: (f"ifood_{role}", False) for role in seen}
    assert len(seen) == 5


def test_each_process_logs_in_to_rabbitmq_and_administers_nothing(
    give, tmp_path, module, management
):
    give()

    for role in module.USED_BY["broker"]:
        pika.BlockingConnection(pika.URLParameters(url(tmp_path, role, "broker"))).close()
    tags = {user["name"]: user["tags"] for user in management.get("/api/users")}
    assert {name for name, given in tags.items() if given and name.startswith("ifood_")} == {
        "ifood_operator"
    }


def test_every_login_has_a_password_of_its_own_which_its_owner_alone_may_read(give, tmp_path):
    give()

    found = all_urls(tmp_path)
    passwords = {urlsplit(each).password for each in found.values()}
    assert len(found) == len(passwords) == 9
    assert all(len(each or "") == 48 for each in passwords)
    assert {stat.S_IMODE(Path(path).stat().st_mode) for path in found} == {0o600}


def test_again_changes_nothing_and_new_changes_all(give, tmp_path):
    give()
    first = all_urls(tmp_path)

    give()
    again = all_urls(tmp_path)
    give(new=True)
    renewed = all_urls(tmp_path)

    assert again == first
    assert not set(renewed.values()) & set(first.values())
    psycopg.connect(url(tmp_path, "worker", "database")).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication"):
        psycopg.connect(first[str(tmp_path / "worker/database_url")])


def test_a_run_that_was_killed_is_completed_by_the_next(give, tmp_path):
    (tmp_path / "worker/database_url.part").write_text("half")

    give()

    psycopg.connect(url(tmp_path, "worker", "database")).close()
    assert not (tmp_path / "worker/database_url.part").exists()


def test_the_password_that_a_person_was_given_stays(give, management):
    give()
    given = {"password": "of-a-person", "tags": "monitoring"}
    management.call("PUT", "/api/users/ifood_operator", given)

    give()

    Management(management.port, user="ifood_operator", password="of-a-person").get("/api/queues")


def test_no_password_is_in_a_statement_that_postgres_logs(
    give, tmp_path, database_url, postgres_server: RunningPostgres
):
    if postgres_server.private is None:
        pytest.skip("the log of this server is not ours to read")
    execute(database_url, "ALTER SYSTEM SET log_statement = 'all'")
    execute(database_url, "SELECT pg_reload_conf()")
    try:
        give()
    finally:
        execute(database_url, "ALTER SYSTEM RESET log_statement")
        execute(database_url, "SELECT pg_reload_conf()")

    log = (postgres_server.private.folder / "log").read_text()
    assert "ALTER ROLE ifood_worker PASSWORD" in log
    assert [
        each for each in all_urls(tmp_path).values() if str(urlsplit(each).password) in log
    ] == []
