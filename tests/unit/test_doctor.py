"""`doctor` warns of connections over a network that anybody could read or answer."""

from collections.abc import Iterator

import pytest

from ifood_actors import postgres_url
from ifood_actors.broker.addresses import connection_parameters
from ifood_actors.cli.work.doctor import _REACHING, _rabbitmq_in_clear, _surviving
from ifood_actors.cli.work.doctor_postgres import _in_clear
from ifood_actors.cli.work.doctor_settings import Finding
from ifood_actors.errors import ServiceUnavailable

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("address", "warned"),
    [
        ("127.0.0.1/ledger", False),
        ("[::1]/ledger", False),
        ("localhost:5433/ledger?sslmode=disable", False),
        ("/ledger?host=/run/postgresql", False),
        ("db.example/ledger", True),
        ("/ledger?host=db.example", True),
        ("/ledger?hostaddr=192.0.2.7", True),
        ("/ledger?host=/run/postgresql,db.example&port=5432,5433", True),
        ("192.0.2.7/ledger?sslmode=require", True),
        ("db.example/ledger?sslmode=prefer", True),
        ("db.example/ledger?sslmode=verify-ca", False),
        ("db.example/ledger?sslmode=verify-full&sslrootcert=/ca.pem", False),
    ],
)
def test_a_postgres_elsewhere_has_to_prove_who_it_is(address, warned):
    at = address if address.startswith("/") else f"me:{SECRET}@{address}"
    found = list(_in_clear(postgres_url.parameters(f"postgresql://{at}")))

    assert [finding.verdict for finding in found] == (["warning"] if warned else [])
    assert SECRET not in str(found)


def test_hosts_that_only_this_installation_can_reach_need_neither():
    private = ("postgres", "rabbitmq")
    one = postgres_url.parameters("postgresql://me:x@postgres/ledger")
    both = postgres_url.parameters("postgresql://me:x@postgres:5432,db.example:5432/ledger")
    inside, outside = "amqp://me:x@rabbitmq/", "amqp://me:x@rabbit.example/"
    nodes = connection_parameters(f"{inside};{outside}", connection_name="test")

    assert list(_in_clear(one, private=private)) == []
    [far] = _in_clear(both, private=private)
    assert far.detail.startswith("db.example: ")
    assert list(_rabbitmq_in_clear(nodes[:1], private=private)) == []
    [far] = _rabbitmq_in_clear(nodes, private=private)
    assert far.detail.startswith("rabbit.example is")


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        ("certificate", None),
        ("limit", 'raise it: docs/operations.md, "Your RabbitMQ", says what we need'),
        (None, _REACHING["rabbitmq"]),
    ],
)
def test_what_to_do_is_told_by_the_cause_and_not_by_the_words_of_an_error(cause, advice):
    def check() -> Iterator[Finding]:
        raise ServiceUnavailable("certificate.example has a limit of names", cause=cause)
        yield

    [found] = _surviving("rabbitmq", check())

    assert found.advice == advice
    assert found.unreachable


@pytest.mark.parametrize(
    ("urls", "named"),
    [
        ("amqp://me:hunter2@127.0.0.1/", None),
        ("amqp://me:hunter2@localhost/", None),
        ("amqps://me:hunter2@rabbit.example/", None),
        ("amqp://me:hunter2@rabbit.example/", "rabbit.example is reached in clear"),
        (
            "amqps://me:hunter2@one/;amqp://me:hunter2@two/;amqp://me:hunter2@three/",
            "two, three is",
        ),
    ],
)
def test_a_rabbitmq_elsewhere_has_to_be_encrypted(urls, named):
    found = list(_rabbitmq_in_clear(connection_parameters(urls, connection_name="test")))

    assert [finding.verdict for finding in found] == (["warning"] if named else [])
    assert named is None or found[0].detail.startswith(named)
    assert SECRET not in str(found)
