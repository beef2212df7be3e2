"""What `scheduler` and `worker` check before they are a process, and how they become it."""

import os
import sys
from contextlib import closing

from ifood_actors import logs
from ifood_actors import scheduler as process
from ifood_actors.cli.work.database import open_database
from ifood_actors.cli.work.rabbitmq import ladder
from ifood_actors.config import loading
from ifood_actors.ifood.tokens import Cipher
from ifood_actors.ifood.tokens.rotation import require_readable
from ifood_actors.masking import secret_texts
from ifood_actors.worker import exposition

# The contract ends a process within 30 s; what is left is for the supervisor and the last commit.
_SHUTDOWN_MS = 25_000


def scheduler() -> None:
    """Be a scheduler, until it is told to stop."""
    settings = loading.load()
    settings.require_broker_url()
    with open_database(settings, name="scheduler", pool_size=process.POOL_SIZE) as engine:
        if settings.encryption_keys is not None:
            require_readable(engine, Cipher(settings.require_encryption_keys()))
        logs.configure(settings.log_level, hidden=secret_texts(settings))
        with closing(ladder(settings, name="scheduler")) as broker:
            broker.declare_all()
            process.run(settings, engine=engine, publisher=broker, inspector=broker)


def worker() -> None:
    """Become the supervisor of workers, once settings and services are found usable."""
    settings = loading.load()
    settings.require_broker_url()
    cipher = Cipher(settings.require_encryption_keys())
    with open_database(settings, name="worker") as engine:
        require_readable(engine, cipher)
        with closing(ladder(settings, name="worker")) as broker:
            broker.declare_all()
    exposition.start_afresh(settings)
    # Neither Python (-P) nor Dramatiq (--path, without one) takes modules from the current folder.
    supervisor = [sys.executable, "-P", "-m", "ifood_actors.worker.supervision"]
    dramatiq = [sys.executable, "-P", "-m", "ifood_actors.worker.command"]
    command = [*supervisor, *dramatiq, "ifood_actors.worker.startup:compose", "--path"]
    options = {
        "--processes": settings.worker_processes,
        "--threads": settings.worker_threads,
        "--worker-shutdown-timeout": _SHUTDOWN_MS,
    }
    command += [word for name, value in options.items() for word in (name, str(value))]
    command += ["--skip-logging"]  # `logs.configure` gives every line its one shape
    os.execv(sys.executable, command)  # noqa: S606 - the very same interpreter, no shell
