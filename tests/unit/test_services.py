"""Which Postgres and which RabbitMQ: decided without starting any."""

import secrets
from datetime import timedelta

import pytest

from ifood_actors.embedded import docker, postgres, rabbitmq, services
from ifood_actors.embedded.processes import free_port, wait_until
from ifood_actors.errors import ServiceUnavailable


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch):
    """No Docker, no programs, no wheel."""
    monkeypatch.setattr(docker, "usable", lambda: False)
    monkeypatch.setattr(postgres, "find_programs", lambda: None)
    monkeypatch.setattr(services, "installed_programs", lambda: None)
    monkeypatch.setattr(rabbitmq, "find_programs", lambda: None)


@pytest.mark.parametrize("service", [services.postgres, services.rabbitmq])
def test_an_explicit_url_is_taken_at_its_word(service):
    with service("scheme://host/name") as server:
        assert (server.url, server.source, server.private) == ("scheme://host/name", "url", None)


def test_a_virtual_host_of_an_explicit_url_is_the_one_it_names():
    with services.rabbitmq("amqp://host/given") as server, server.vhost("other") as url:
        assert url == "amqp://host/given"


@pytest.mark.parametrize(
    ("service", "package"),
    [(services.postgres, "postgresql"), (services.rabbitmq, "rabbitmq-server")],
)
def test_a_missing_service_says_what_to_install(service, package):
    with pytest.raises(ServiceUnavailable, match=package), service():
        pass


def test_a_docker_client_without_a_checkout_is_not_used(monkeypatch, tmp_path):
    monkeypatch.undo()
    docker.usable.cache_clear()
    monkeypatch.setattr(docker, "COMPOSE_FILE", tmp_path / "compose.yaml")

    assert not docker.usable()


def test_compose_gets_our_values_even_where_the_environment_has_others():
    with docker.own_project() as compose:
        given = dict(line.split("=") for line in compose.env_file.read_text().splitlines())

        assert set(given) <= set(compose.command)
        assert given["POSTGRES_PASSWORD"] in compose.postgres_url
        assert given["RABBITMQ_PORT"] in compose.rabbitmq_url

    assert not compose.env_file.exists()


def test_every_variable_of_the_compose_file_is_given():
    text = docker.COMPOSE_FILE.read_text()

    with docker.own_project() as compose:
        for name in compose.env_file.read_text().split():
            assert f"${{{name.partition('=')[0]}:" in text


def test_a_private_port_is_none_that_an_outgoing_connection_gets():
    assert 20_000 <= free_port() < 32_000


def test_a_port_is_given_once_although_nobody_listens_yet(monkeypatch):
    first = free_port()
    choices = iter([first, *range(20_000, 32_000)])
    monkeypatch.setattr(secrets, "choice", lambda _: next(choices))

    assert free_port() != first


def test_waiting_ends_with_the_condition_or_with_the_time():
    answers = iter([False, True])

    assert wait_until(lambda: next(answers), within=timedelta(seconds=10))
    assert not wait_until(lambda: False, within=timedelta(0))
