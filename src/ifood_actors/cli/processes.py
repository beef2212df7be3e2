"""`scheduler`, `worker` and `simulator`: the processes that run until they are told to stop."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ifood_actors.cli.output import note, say

if TYPE_CHECKING:
    from ifood_actors.config import Settings
    from ifood_actors.messaging.broker import LadderBroker

# The contract ends a process within 30 s; what is left is for the supervisor and the last commit.
_SHUTDOWN_MS = 25_000


def scheduler() -> None:
    """Plan runs when their windows open, and relay due jobs; several may run."""
    from ifood_actors import config, logs
    from ifood_actors import scheduler as process
    from ifood_actors.cli.database import open_database

    settings = config.load()
    broker = ladder(settings, name="scheduler")
    with open_database(settings) as engine:
        broker.declare_all()
        logs.configure(settings.log_level)
        try:
            process.run(settings, engine=engine, outbox=broker)
        finally:
            broker.close()


def worker() -> None:
    """Run jobs: executes `dramatiq` with processes and threads from the settings."""
    from ifood_actors import config
    from ifood_actors.cli.database import open_database

    settings = config.load()
    settings.require_encryption_keys()
    broker = ladder(settings, name="worker")
    with open_database(settings):
        broker.declare_all()
        broker.close()
    command = [sys.executable, "-m", "dramatiq", "ifood_actors.worker"]
    options = {
        "--processes": settings.worker_processes,
        "--threads": settings.worker_threads,
        "--worker-shutdown-timeout": _SHUTDOWN_MS,
    }
    command += [word for name, value in options.items() for word in (name, str(value))]
    command += ["--skip-logging"]  # `logs.configure` gives every line its one shape
    os.execv(sys.executable, command)  # noqa: S606 - the very same interpreter, no shell


def simulator(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
    accounts: Annotated[int, typer.Option(min=1, help="How many restaurants.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same data.")] = 1,
) -> None:
    """Serve a fake iFood API on this machine, for development and the demo."""
    from ifood_actors.cli.extras import require_demo

    require_demo()
    from ifood_actors import simulator as fake

    settings = fake.Settings(merchants=accounts, seed=seed)
    app = settings.apps[0]

    def ready(url: str) -> None:
        say(url)
        sys.stdout.flush()
        note(f"simulated iFood with {accounts:,} restaurants; to pull from it:")
        note(f"  export IFOOD_API_BASE_URL={url} IFOOD_API_ALLOW_HOST=127.0.0.1")
        note(
            f"  echo {app.client_secret} | ifood-actors apps add {app.name} "
            f"--client-id {app.client_id} --kind {app.kind}"
        )
        note(f"  curl -s {url}/_simulator/accounts.csv | ifood-actors accounts import -")
        note("Ctrl-C ends it")

    fake.serve(settings, port=port, ready=ready)


def ladder(settings: "Settings", *, name: str) -> "LadderBroker":
    """Make the broker with the queues of all kinds; nothing is connected yet."""
    from ifood_actors.messaging.broker import ladder_broker
    from ifood_actors.messaging.orders import KINDS, queue_name

    broker = ladder_broker(
        settings.require_broker_url(), middleware=[], connection_name=f"ifood-actors {name}"
    )
    for kind in KINDS:
        broker.declare_queue(queue_name(kind))
    return broker
