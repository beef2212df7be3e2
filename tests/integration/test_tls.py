"""TLS on all three legs: the right certificate works, any other is refused in one clear line."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import Engine, text
from support.clock import eventually
from support.logins import execute
from support.program import Outcome, Program, installation
from support.servers import HOST, Certificates, encrypted, make_certificates
from support.world import KEY, MONDAY, register

from ifood_actors import migrations
from ifood_actors.broker import LadderBroker
from ifood_actors.db import connect, require_reachable, transaction
from ifood_actors.embedded.postgres import PrivatePostgres
from ifood_actors.errors import ServerFault, ServiceUnavailable
from ifood_actors.ifood.http.transport import exchange, http_client
from ifood_simulator import App, Settings, Simulator, running

pytestmark = pytest.mark.services

FILES = {
    "ssl_cert_file": "server.crt",
    "ssl_key_file": "server.key",
    "ssl_ca_file": "ca.crt",
    "hba_file": "pg_hba.conf",
}
LETS_IN = f"""
hostssl wary all {HOST}/32 scram-sha-256 clientcert=verify-ca
host    all  all {HOST}/32 scram-sha-256
"""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def postgres(certificates: Certificates) -> Iterator[Callable[[str], str]]:
    """Give the URL, without parameters, of a Postgres that shows the named certificate."""
    try:
        server = PrivatePostgres(durable=False)
    except ServiceUnavailable as error:
        pytest.skip(str(error))
    with server:
        migrations.upgrade(server.url)
        for setting, file in FILES.items():
            execute(server.url, f"ALTER SYSTEM SET {setting} = '{server.folder}/{file}'")
        execute(server.url, "ALTER SYSTEM SET ssl = on")

        def showing(name: str) -> str:
            leaf = getattr(certificates, name)
            chain = b"".join(pem.bytes() for pem in leaf.cert_chain_pems)
            server._folder.write("server.crt", chain.decode())
            server._folder.write("server.key", leaf.private_key_pem.bytes().decode())
            server._folder.write("ca.crt", certificates.ca_file.read_text())
            server._folder.write("pg_hba.conf", LETS_IN)
            server.restart()
            return server.url

        yield showing


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(Settings(merchants=3, today=MONDAY, apps=(App(name="central"),))) as simulator:
        yield simulator


@pytest.fixture
def command(tmp_path: Path, database_url: str, broker_url: str) -> Program:
    """Run with everything in clear, but for what a test says."""
    return Program(
        tmp_path,
        {
            "IFOOD_DATABASE_URL": database_url,
            "IFOOD_BROKER_URL": broker_url,
            "IFOOD_API_ALLOW_HOST": HOST,
            "IFOOD_ENCRYPTION_KEYS": KEY,
        },
    )


def verified(url: str, certificates: Certificates) -> str:
    return f"{url}?sslmode=verify-full&sslrootcert={certificates.ca_file}"


def amqps(broker_url: str, port: int, certificates: Certificates, *others: str) -> str:
    """Give the URL of the same virtual host behind TLS."""
    parts = urlsplit(broker_url)
    query = "&".join((f"cacertfile={certificates.ca_file}", *others))
    address = f"{parts.username}:{parts.password}@{HOST}:{port}"
    return f"amqps://{address}{parts.path}?{query}"


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def assert_one_clear_line(outcome: Outcome, *, where: str, what: str, remedy: str) -> None:
    line = outcome.told
    assert (outcome.code, outcome.out) == (3, "")
    assert where in line
    assert re.search(what, line)
    assert remedy in line


# --- Postgres ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "what"),
    [
        ("wrong_host", 'certificate for "other.example" does not match host name "127.0.0.1"'),
        ("expired", "certificate verify failed: renew it if it has expired"),
        ("unknown", "certificate verify failed: .* name its authority by sslrootcert"),
    ],
)
def test_a_postgres_with_another_certificate_is_refused(
    postgres, certificates, command, shown, what
):
    url = postgres(shown)

    doctor, scheduler, worker = command.each(
        [["doctor"], ["scheduler"], ["worker"]], IFOOD_DATABASE_URL=verified(url, certificates)
    )

    where = f"Postgres at {HOST}:{port_of(url)}/postgres"
    for process in (scheduler, worker):
        assert_one_clear_line(process, where=where, what=what, remedy="IFOOD_DATABASE_URL")
    assert doctor.code == 3
    assert re.search(f"postgres +failed +{where}.*{what}", doctor.out)
    assert urlsplit(url).password not in doctor.out + scheduler.err + worker.err


def test_a_postgres_whose_authority_is_nowhere_is_refused(postgres, command):
    url = postgres("right")

    [scheduler] = command.each(
        [["scheduler"]], IFOOD_DATABASE_URL=f"{url}?sslmode=verify-full&sslrootcert=/nowhere.pem"
    )

    what = 'root certificate file "/nowhere.pem" does not exist'
    assert_one_clear_line(scheduler, where=HOST, what=what, remedy="sslrootcert=FILE")


def test_a_postgres_that_wants_a_certificate_tells_how_to_give_one(
    postgres, certificates, tmp_path
):
    pem = tmp_path / "client.pem"
    certificates.authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(pem)
    pem.chmod(0o600)
    url = verified(postgres("right").removesuffix("/postgres") + "/wary", certificates)

    with pytest.raises(ServiceUnavailable, match=r"client certificate: name .* sslcert=FILE"):
        require_reachable(connect(url, application_name="tests"))

    url += f"&sslcert={pem}&sslkey={pem}"
    with pytest.raises(ServiceUnavailable, match='database "wary" does not exist'):  # it is let in
        require_reachable(connect(url, application_name="tests"))


# --- RabbitMQ ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "what"),
    [
        ("wrong_host", "certificate is refused, IP address mismatch.*: renew it, correct the host"),
        ("expired", "certificate is refused, certificate has expired: renew it"),
        ("unknown", "certificate is refused, unable to get local issuer.* by cacertfile=FILE"),
    ],
)
def test_a_rabbitmq_with_another_certificate_is_refused(
    certificates, command, broker_url, shown, what
):
    with encrypted(port_of(broker_url), getattr(certificates, shown)) as port:
        doctor, scheduler, worker = command.each(
            [["doctor"], ["scheduler"], ["worker"]],
            IFOOD_BROKER_URL=amqps(broker_url, port, certificates),
        )

    where = f"RabbitMQ at {HOST}:{port}"
    for process in (scheduler, worker):
        assert_one_clear_line(process, where=where, what=what, remedy="IFOOD_BROKER_URL")
    assert doctor.code == 3
    assert re.search(f"rabbitmq +failed +{where}.*{what}", doctor.out)
    assert urlsplit(broker_url).password not in doctor.out + scheduler.err + worker.err


def test_without_its_authority_no_rabbitmq_is_trusted(certificates, broker_url):
    with encrypted(port_of(broker_url), certificates.right) as port:
        [url, _] = amqps(broker_url, port, certificates).split("?")

        with pytest.raises(ServiceUnavailable, match="certificate is refused"):
            LadderBroker(url).probe()


def test_a_rabbitmq_may_be_known_by_another_name(certificates, broker_url):
    with encrypted(port_of(broker_url), certificates.wrong_host) as port:
        name = "server_name_indication=other.example"

        LadderBroker(amqps(broker_url, port, certificates, name)).probe()


def test_a_rabbitmq_that_wants_a_certificate_gets_one(certificates, broker_url, tmp_path):
    pem = tmp_path / "client.pem"
    certificates.authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(pem)
    authority = certificates.authority
    with encrypted(port_of(broker_url), certificates.right, clients=authority) as port:
        LadderBroker(amqps(broker_url, port, certificates, f"certfile={pem}")).probe()

        with pytest.raises(ServiceUnavailable, match=f"RabbitMQ at {HOST}:{port} cannot be"):
            LadderBroker(amqps(broker_url, port, certificates)).probe()


# --- iFood ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "what"),
    [
        ("wrong_host", "certificate is refused, IP address mismatch.*: correct the address"),
        ("expired", "certificate is refused, certificate has expired"),
        ("unknown", "certificate is refused, unable to get local issuer certificate"),
    ],
)
def test_an_ifood_with_another_certificate_is_refused(
    certificates, command, simulator, shown, what
):
    add = ["apps", "add", "central", "--client-id", "c", "--kind", "centralized"]
    with encrypted(port_of(simulator.url), getattr(certificates, shown)) as port:
        url = f"https://{HOST}:{port}"
        _, doctor, discover = command.each(
            [add, ["doctor"], ["accounts", "discover", "--app", "central"]],
            IFOOD_API_BASE_URL=url,
            IFOOD_API_CA_FILE=str(certificates.ca_file),
            IFOOD_CLIENT_SECRET="hunter2",
        )

    assert_one_clear_line(discover, where=f"iFood at {url}", what=what, remedy="IFOOD_API_CA_FILE")
    assert doctor.code == 3
    assert re.search(f"ifood api +failed +{url}.*{what}.*IFOOD_API_CA_FILE", doctor.out)
    assert "hunter2" not in doctor.out + discover.err


def test_without_its_authority_no_ifood_is_trusted(certificates, simulator):
    with (
        encrypted(port_of(simulator.url), certificates.right) as port,
        http_client(threads=1) as http,
        pytest.raises(ServerFault, match="certificate is refused"),
    ):
        exchange(http, http.build_request("GET", f"https://{HOST}:{port}"))


# --- all three --------------------------------------------------------------------------------


def test_a_fleet_works_with_all_three_legs_encrypted(
    postgres, certificates, simulator, broker_url, tmp_path
):
    database_url = verified(postgres("right"), certificates)
    with (
        encrypted(port_of(broker_url), certificates.right) as broker_port,
        encrypted(port_of(simulator.url), certificates.right) as api_port,
    ):
        installed = installation(
            tmp_path,
            simulator,
            database_url=database_url,
            broker_url=amqps(broker_url, broker_port, certificates),
            IFOOD_API_BASE_URL=f"https://{HOST}:{api_port}",
            IFOOD_API_CA_FILE=str(certificates.ca_file),
        )
        engine = connect(database_url, application_name="tests", pool_size=2)
        register(engine, simulator)
        installed.run("plan", "sales", "--day", str(MONDAY), "--over", "2s")

        with installed.process("scheduler"), installed.process("worker"):
            eventually(lambda: succeeded(engine) == 3)
        engine.dispose()


def succeeded(engine: Engine) -> int:
    with transaction(engine) as tx:
        statement = "SELECT count(*) FROM ifood_jobs WHERE status = 'success'"
        return int(tx.execute(text(statement)).scalar_one())
