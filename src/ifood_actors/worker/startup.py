"""What a process of Dramatiq's command starts with: `dramatiq ifood_actors.worker`."""

import gc
import multiprocessing
import os
import threading
from functools import cache

import dramatiq

from ifood_actors import logs
from ifood_actors.config import loading
from ifood_actors.errors import IfoodActorsError
from ifood_actors.masking import secret_texts
from ifood_actors.worker import exposition

# New objects from which on Python looks for garbage, in place of its 700: a page of sales has tens
# of thousands, all in use, and to look at them again and again is a fifth of the time to read it.
GARBAGE_THRESHOLD = 10_000


@cache
def compose() -> None:
    """
    Compose the worker of this process from the environment and make its broker Dramatiq's, once.

    Ends the process with one line and the contract's exit code when it cannot work.
    """
    _end_with_the_command()
    gc.set_threshold(GARBAGE_THRESHOLD)
    try:
        settings = loading.load()
        logs.configure(settings.log_level, hidden=secret_texts(settings))
        exposition.join(settings)
        # It imports prometheus_client, which `join` must come before.
        from ifood_actors.worker.composition import connect_worker  # noqa: PLC0415

        broker = connect_worker(settings)
        exposition.serve(settings)
    except IfoodActorsError as error:
        logs.configure("error")
        failed = {"reason": str(error), "code": error.exit_code}
        logs.get_logger(__name__).error(logs.FAILED, **failed)
        raise SystemExit(error.exit_code) from None
    dramatiq.set_broker(broker)


def _end_with_the_command() -> None:
    """
    End this process, as a crash would, when Dramatiq's main process dies.

    Dramatiq's workers outlive it: no process would stop them, or write their logs.
    """
    command = multiprocessing.parent_process()

    def watch() -> None:
        if command is not None:
            command.join()
            os._exit(1)

    threading.Thread(target=watch, name="command", daemon=True).start()
