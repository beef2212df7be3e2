"""
The sign of life of a worker process: a session of Postgres that holds an advisory lock.

Postgres ends the session when the process ends, however it ends, and the lock is free at once. A
scheduler that finds it free for some seconds takes the process's jobs: see `scheduler.deaths`. The
lock is a shared one, so that a new session has it beside one that Postgres does not know to be cut
yet.
"""

from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread
from time import monotonic
from uuid import UUID

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from ifood_actors.db import beside, patient, reason_of
from ifood_actors.errors import IfoodActorsError
from ifood_actors.ledger import claim_tokens
from ifood_actors.logs import get_logger
from ifood_actors.session import SOCKET

log = get_logger(__name__)

EVERY = timedelta(seconds=1)
_BROKEN_AFTER = 3 * EVERY
# A session that is only slow is kept: Postgres holds its lock.
_ANSWER_WITHIN = timedelta(seconds=15)
_FIRST_WITHIN = timedelta(seconds=5)
_LONGEST_PAUSE = 5 * EVERY

# Postgres misses a host that has vanished as soon as we would miss Postgres.
_MISS_PEER = text(
    "SELECT "
    + ", ".join(
        f"set_config('tcp_{name}', '{SOCKET[name]}', false)"
        for name in ("keepalives_idle", "keepalives_interval", "keepalives_count")
    )
)
# A session that has the lock may lock it again, which shows that it has it.
_HOLD = text("SELECT pg_try_advisory_lock_shared(:key)")


class Lifeline:
    """Keeps the lock from `start` to `close`, over any number of sessions, in a thread."""

    def __init__(self, engine: Engine, *, opened: Callable[[Connection], object]) -> None:
        """`opened` is called in that thread with each new session that has the lock."""
        self._engine = beside(engine)
        self._opened = opened
        self._key = claim_tokens.new_lifeline()
        self._session: Connection | None = None
        self._held_at: float | None = None  # by the last answer
        self._named = False  # whether claims may name it
        self._failures = 0  # in a row
        self._tried, self._ended = Event(), Event()
        self._thread = Thread(target=self._run, name="lifeline", daemon=True)

    @property
    def broken(self) -> bool:
        """Whether claims may name the lock, and Postgres has not said for 3 s that it is held."""
        held_at = self._held_at
        silent = held_at is None or monotonic() - held_at > _BROKEN_AFTER.total_seconds()
        return self._named and silent

    def claim_token(self) -> UUID:
        """Draw the token of a claim; it names this lifeline only while the lock is held."""
        return claim_tokens.draw_token(None if self._held_at is None else self._key)

    def start(self) -> None:
        """Take the lock; what cannot be had within 5 s is tried for in the background."""
        self._thread.start()
        self._tried.wait(_FIRST_WITHIN.total_seconds())

    def close(self) -> None:
        """Let the lock go; a session that does not answer is left to the end of the process."""
        self._ended.set()
        if self._thread.ident is not None:
            self._thread.join(_FIRST_WITHIN.total_seconds())

    def _run(self) -> None:
        pause = EVERY
        while not self._ended.is_set():
            try:
                self._keep()
            except (SQLAlchemyError, IfoodActorsError) as error:
                self._drop()
                if not self._failures:
                    log.warning("lifeline.lost", reason=reason_of(error))
                pause = min(self._failures * EVERY, _LONGEST_PAUSE)  # none after the first
                self._failures += 1
            else:
                if self._failures:
                    log.info("lifeline.restored")
                pause, self._failures = EVERY, 0
            self._tried.set()
            self._ended.wait(pause.total_seconds())
        self._drop()

    def _keep(self) -> None:
        """Have the session of before say that it holds the lock, or else a new one."""
        if self._session is not None and self._session.invalidated:
            self._drop()  # or SQLAlchemy would connect again, and nobody would be told
        fresh = self._session is None
        session = self._session = self._session or self._open()
        with patient(session, within=_ANSWER_WITHIN):
            if fresh:
                session.execute(_MISS_PEER)
            held = session.execute(_HOLD, {"key": self._key}).scalar_one()
        self._held_at = monotonic() if held else None
        self._named |= held
        if fresh and held:
            self._opened(session)

    def _open(self) -> Connection:
        return self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def _drop(self) -> None:
        self._held_at = None
        if self._session is not None:
            self._session.invalidate()
            self._session.close()
        self._session = None
