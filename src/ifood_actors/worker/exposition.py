"""
What all worker processes of a host count, added up and served by one of them.

Each process counts into files of its own in one folder (prometheus_client's multiprocess mode), so
its counts outlive it. See docs/decisions/0012-counts-of-many-processes-in-one-folder.md.
"""

import fcntl
import os
from pathlib import Path
from threading import Thread

from ifood_actors.config import Settings, loading
from ifood_actors.errors import UsageError
from ifood_actors.logs import get_logger
from ifood_actors.ownership import require_our_folder

log = get_logger(__name__)

# Files of dead processes that are kept: those of dozens of restarts, which add up in milliseconds.
MOST_FILES = 200
_COUNTS = "*.db"


def join(settings: Settings) -> None:
    """
    Count with the others of this host; call it before anything imports prometheus_client.

    Without `IFOOD_METRICS_PORT` the process counts for itself. Raises UsageError for a folder that
    cannot be written to, or that others may write to.
    """
    if settings.metrics_port is None or settings.metrics_dir is None:
        return
    folder = Path(settings.metrics_dir)
    fcntl.flock(_tidied(folder, keep=MOST_FILES), fcntl.LOCK_SH)  # until the process ends
    loading.count_together(str(folder))


def start_afresh(settings: Settings) -> None:
    """Drop the counts of dead processes, unless others go on counting. Raises UsageError."""
    if settings.metrics_port is not None and settings.metrics_dir is not None:
        os.close(_tidied(Path(settings.metrics_dir), keep=0))


def serve(settings: Settings) -> None:
    """Serve the counts of this host, now or once the process that does has ended."""
    if settings.metrics_port is not None:
        Thread(target=_serve_in_turn, args=(settings,), name="metrics", daemon=True).start()


def _tidied(folder: Path, *, keep: int) -> int:
    """
    Give an open lock file, after dropping all counts if they are too many and no process counts.

    All or none: a sum that shrinks but does not start at zero again looks to Prometheus like a
    leap by what is left.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        require_our_folder(folder, named="IFOOD_METRICS_DIR")
        lock = os.open(folder / "counting.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise UsageError(f"IFOOD_METRICS_DIR: cannot write to {folder}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # others count
        return lock
    files = list(folder.glob(_COUNTS))
    for path in files if len(files) > keep else ():
        path.unlink()
    return lock


def _serve_in_turn(settings: Settings) -> None:
    from prometheus_client import CollectorRegistry, start_http_server  # noqa: PLC0415 - see `join`
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415 - the same

    host, port = settings.metrics_host, settings.metrics_port or 0
    folder = Path(settings.metrics_dir or "")
    lock = os.open(folder / "serving.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # waits until the process that has it ends
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call] # prometheus's
    try:
        start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        log.warning("metrics.not_served", host=host, port=port, reason=error.strerror or str(error))
        return
    log.info("metrics.served", host=host, port=port)
