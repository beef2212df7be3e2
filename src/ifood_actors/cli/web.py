"""`web`: the process that answers over HTTP."""

from typing import Annotated

import typer

from ifood_actors.errors import UsageError

# One asks for readiness, one for the gauges; pages will want more.
_POOL_SIZE = 4


def web(
    *,
    host: Annotated[str, typer.Option(help="An address of loopback.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
) -> None:
    """
    Serve /healthz, /readyz and /metrics.

    It listens on loopback only, since nobody signs in. Starts also while Postgres or RabbitMQ is
    away: /readyz says which.
    """
    from ifood_actors import logs
    from ifood_actors import web as process
    from ifood_actors.cli.ladder import ladder
    from ifood_actors.config import loading
    from ifood_actors.db import connect
    from ifood_actors.masking import secret_texts

    settings = loading.load()
    _require_loopback(host)
    url = settings.require_database_url()
    broker = ladder(settings, name="web")
    logs.configure(settings.log_level, hidden=secret_texts(settings))
    engine = connect(
        url,
        application_name="ifood-actors web",
        pool_size=_POOL_SIZE,
        schema=settings.database_schema,
    )
    try:
        process.serve(settings, engine=engine, probe_broker=broker.probe, host=host, port=port)
    finally:
        broker.close()
        engine.dispose()


def _require_loopback(host: str) -> None:
    from ifood_actors.checks import is_loopback

    if not is_loopback(host):
        raise UsageError(
            f"--host {host}: there is no sign-in yet, so it listens on loopback only, as "
            "127.0.0.1; put a proxy with a sign-in before it"
        )
