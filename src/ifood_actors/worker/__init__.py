"""
Runs jobs. `dramatiq ifood_actors.worker` starts here: this is its composition root.

execute (the story of one delivery) · leases · actors · composition (builds it all) ·
supervision (starts the command again) · exposition (serves what all processes count)
"""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dramatiq import Broker

    from ifood_actors.config import Settings


def compose() -> None:
    """
    Build the worker of this process from the environment and make its broker Dramatiq's.

    Ends the process with one line and the contract's exit code when it cannot work.
    """
    import dramatiq  # noqa: PLC0415 - only a worker process pays for these imports

    from ifood_actors import logs  # noqa: PLC0415 - the same
    from ifood_actors.config import loading  # noqa: PLC0415 - the same
    from ifood_actors.errors import IfoodActorsError  # noqa: PLC0415 - the same
    from ifood_actors.masking import secret_texts  # noqa: PLC0415 - the same
    from ifood_actors.worker import exposition  # noqa: PLC0415 - the same

    _end_with_the_command()
    try:
        settings = loading.load()
        logs.configure(settings.log_level, hidden=secret_texts(settings))
        exposition.join(settings)
        broker = _broker(settings)
        exposition.serve(settings)
    except IfoodActorsError as error:
        logs.configure("error")
        failed = {"reason": str(error), "code": error.exit_code}
        logs.get_logger(__name__).error(logs.FAILED, **failed)
        raise SystemExit(error.exit_code) from None
    dramatiq.set_broker(broker)


def _broker(settings: "Settings") -> "Broker":
    """Make the broker, which RabbitMQ knows, with everything behind it."""
    from ifood_actors.broker import LadderBroker  # noqa: PLC0415 - the same
    from ifood_actors.db import connect, require_reachable  # noqa: PLC0415 - as above
    from ifood_actors.delivery.messages import JobMessage  # noqa: PLC0415 - the same
    from ifood_actors.ifood import Cipher, require_readable  # noqa: PLC0415 - the same
    from ifood_actors.migrations import require_current  # noqa: PLC0415 - the same
    from ifood_actors.worker.composition import assemble  # noqa: PLC0415 - the same

    engine = connect(
        settings.require_database_url(),
        application_name="ifood-actors worker",
        pool_size=settings.worker_threads + 2,
        schema=settings.database_schema,
    )
    require_reachable(engine)
    with engine.connect() as connection:
        require_current(connection)
    require_readable(engine, Cipher(settings.require_encryption_keys()))
    url = settings.require_broker_url()
    broker = assemble(
        settings,
        engine=engine,
        make_broker=lambda chain: LadderBroker(
            url,
            middleware=chain,
            check=JobMessage.from_message,  # nothing else reaches a worker
            connection_name="ifood-actors worker",
            url_name="IFOOD_BROKER_URL",
        ),
    )
    broker.declare_all()
    return broker


def _end_with_the_command() -> None:
    """
    End this process, as a crash would, when Dramatiq's main process dies.

    Dramatiq's workers outlive it: nobody would stop them, and nobody would write their logs.
    """
    import multiprocessing  # noqa: PLC0415 - as above
    import os  # noqa: PLC0415 - the same
    import threading  # noqa: PLC0415 - the same

    command = multiprocessing.parent_process()

    def watch() -> None:
        if command is not None:
            command.join()
            os._exit(1)

    threading.Thread(target=watch, name="command", daemon=True).start()


# The command offers no hook for a bare module name but its import. Everybody else who imports
# this package (tests, the demo) wants its parts, not a worker.
if "dramatiq.cli" in sys.modules:
    compose()
