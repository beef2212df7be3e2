"""The scheduler's sign of life: one row for each host, which the alerts of the others look at."""

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, text

from ifood_actors.db import transaction
from ifood_actors.errors import IfoodActorsError

EVERY: Final = timedelta(seconds=15)  # silence is an alert after two minutes

_BEAT = text("""
    INSERT INTO ifood_schedulers (host, seen_at) VALUES (:host, clock_timestamp())
    ON CONFLICT (host) DO UPDATE SET seen_at = excluded.seen_at, stopped_at = NULL
""")
_END = text("UPDATE ifood_schedulers SET stopped_at = clock_timestamp() WHERE host = :host")


def beat(engine: Engine, *, file: Path | None = None) -> None:
    """
    Write the time of Postgres into the row of this host, which all its schedulers share.

    Then touch `file`, whose age a health check can ask for what a look at Postgres would cost it.
    Raises IfoodActorsError when it cannot be written.
    """
    with transaction(engine) as tx:
        tx.execute(_BEAT, {"host": socket.gethostname()})
    if file:
        touch(file)


def touch(file: Path) -> None:
    """
    Touch the file itself: in a folder of everybody's, a link or a pipe could be in its place.

    Raises IfoodActorsError when it cannot be written.
    """
    try:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise IfoodActorsError(f"IFOOD_HEARTBEAT_FILE: {file}: {error.strerror}") from None
    os.utime(opened)
    os.close(opened)


def end(engine: Engine) -> None:
    """Note in the row of this host that it stopped cleanly, so that its silence is no alert."""
    with transaction(engine) as tx:
        tx.execute(_END, {"host": socket.gethostname()})
