"""What `web` checks before it is a process."""

from contextlib import closing

from ifood_actors import logs
from ifood_actors import web as process
from ifood_actors.checks import is_loopback
from ifood_actors.cli.work.rabbitmq import ladder
from ifood_actors.config import loading
from ifood_actors.db import connect
from ifood_actors.errors import UsageError
from ifood_actors.masking import secret_texts

# One asks for readiness, one for the gauges; pages will want more.
_POOL_SIZE = 4


def serve(host: str, port: int) -> None:
    """Serve until it is told to stop. Raises UsageError for a host that is not this machine."""
    settings = loading.load()
    if not is_loopback(host):
        raise UsageError(
            f"--host {host}: there is no sign-in yet, so it listens on loopback only, as "
            "127.0.0.1; put a proxy with a sign-in before it"
        )
    url = settings.require_database_url()
    with closing(ladder(settings, name="web")) as broker:
        logs.configure(settings.log_level, hidden=secret_texts(settings))
        schema = settings.database_schema
        name = "ifood-actors web"
        engine = connect(url, application_name=name, pool_size=_POOL_SIZE, schema=schema)
        try:
            process.serve(settings, engine=engine, probe_broker=broker.probe, host=host, port=port)
        finally:
            engine.dispose()
