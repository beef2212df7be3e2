"""No secret in the lines of any library at debug, nor in what `ps` shows to everybody."""

import io
from pathlib import Path
from urllib.parse import quote

import pytest
from sqlalchemy import make_url
from support.servers import webhook

from ifood_actors import logs
from ifood_actors.alerts.notifications import Notifier
from ifood_actors.broker.queues import queue_states
from ifood_actors.config import Settings
from ifood_actors.db import connect, require_reachable
from ifood_actors.errors import ServiceUnavailable

pytestmark = pytest.mark.services

SECRET = "tKn-7hqZ2wXv9;sdQ"


@pytest.fixture(params=[True, False], ids=["known", "unknown"])
def told(request, monkeypatch):
    """Log at debug, with the secrets of the settings known or not."""
    monkeypatch.setattr(logs, "_known", [])
    out = io.StringIO()
    hidden = [SECRET, quote(SECRET, safe="")] if request.param else []
    logs.configure("debug", hidden=hidden, stream=out)
    logs.get_logger("test").debug("begins")
    return out


def assert_nothing_shown(out: io.StringIO) -> None:
    assert "begins" in out.getvalue()
    assert SECRET[:6] not in out.getvalue()


@pytest.mark.parametrize("refusing", [False, True])
def test_the_address_of_a_webhook_is_in_no_line(told, refusing):
    with webhook() as hook:
        if refusing:
            hook.refusing.set()
        password = quote(SECRET, safe="")
        url = f"json://u:{password}@127.0.0.1:{hook.port}/{password}/x?+X-Token={password}"
        notifier = Notifier([url])

        failed = notifier.deliver("t", "b", resolved=False, to=notifier.addresses)

        assert bool(failed) == refusing
        assert hook.attempts == 1
    assert_nothing_shown(told)


def test_the_passwords_of_the_servers_are_in_no_line(told, postgres_server, rabbitmq_server):
    password = quote(SECRET, safe="")
    database = make_url(postgres_server.url)
    broker = make_url(rabbitmq_server.url)
    settings = Settings(
        database_url=f"postgresql://nobody:{password}@{database.host}:{database.port}/x",
        broker_url=f"amqp://nobody:{password}@{broker.host}:{broker.port}/",
    )

    engine = connect(settings.require_database_url(), application_name="test")
    with pytest.raises(ServiceUnavailable) as refused_by_postgres:
        require_reachable(engine)
    with pytest.raises(ServiceUnavailable) as refused_by_rabbitmq:
        queue_states(settings.require_broker_url(), ["q"], connection_name="test")
    for refused in (refused_by_postgres, refused_by_rabbitmq):
        logs.get_logger("test").error("failed", exc_info=refused.value)
        logs.get_logger("test").error(logs.FAILED, reason=str(refused.value))

    assert_nothing_shown(told)


def test_no_command_line_holds_the_password_of_an_embedded_server(postgres_server, rabbitmq_server):
    passwords = [make_url(server.url).password for server in (postgres_server, rabbitmq_server)]
    lines = [_command_line(each) for each in Path("/proc").iterdir() if each.name.isdigit()]

    assert all(passwords)
    assert any("postgres" in line for line in lines)
    assert not [line for line in lines for password in passwords if str(password) in line]


def _command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(errors="replace")
    except OSError:  # it has ended
        return ""
