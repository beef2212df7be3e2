"""`scheduler`, `worker` and `simulator`: the processes that run until they are told to stop."""

import os
import sys
from typing import Annotated

import typer

from ifood_actors.cli.output import note, say

# The contract ends a process within 30 s; what is left is for the supervisor and the last commit.
_SHUTDOWN_MS = 25_000


def scheduler() -> None:
    """Plan runs when due and relay jobs; several may run."""
    from ifood_actors import config, logs
    from ifood_actors import scheduler as process
    from ifood_actors.cli.database import open_database
    from ifood_actors.cli.ladder import ladder

    settings = config.load()
    settings.require_broker_url()
    with open_database(settings) as engine:
        logs.configure(settings.log_level)
        broker = ladder(settings, name="scheduler")
        try:
            broker.declare_all()
            process.run(settings, engine=engine, outbox=broker)
        finally:
            broker.close()


def worker() -> None:
    """
    Run jobs, as many at a time as the settings say.

    Becomes `dramatiq ifood_actors.worker`, once the settings and both services are found usable.
    """
    from ifood_actors import config
    from ifood_actors.cli.database import open_database
    from ifood_actors.cli.ladder import ladder

    settings = config.load()
    settings.require_broker_url()
    settings.require_encryption_keys()
    with open_database(settings):
        broker = ladder(settings, name="worker")
        try:
            broker.declare_all()
        finally:
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
    """Serve a fake iFood API on this machine."""
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
