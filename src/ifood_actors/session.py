"""
One session of Postgres: what it pins for all code, and what it refuses to work with.

Everything is said after connecting, in one statement, and not at the start of the connection: there
a pooler refuses what it does not know.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString, TypeVar

import psycopg
import structlog
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn

from ifood_actors import postgres_url
from ifood_actors.errors import UsageError

log = structlog.get_logger(__name__)

T = TypeVar("T")

# A dead peer is noticed in about 30 s on an idle connection (keepalives) and on a busy one
# (tcp_user_timeout, milliseconds), instead of the kernel's two hours and fifteen minutes.
SOCKET = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
}
# How values are written and read; a role, database or client that sets it differently means
# other programs.
STYLE = {
    "client_encoding": "UTF8",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "standard_conforming_strings": "on",
}
# No statement of this system needs longer; a longer wait is a fault that the ledger heals. What the
# URL says has precedence.
PATIENCE = {
    "statement_timeout": "60s",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
}
# No TCP time-out sees a peer that takes bytes and answers nothing: a frozen server, or a proxy
# before a dead one. A little longer than the server lets a statement take.
ANSWER_SECONDS = 65.0
_WAKE_SECONDS = 0.1  # psycopg's own

# `pg_temp` last, and the schema alone before it: no other table or function is taken for ours.
_PIN: LiteralString = """
    SELECT pg_backend_pid() AS pid, coalesce(%(schema)s, current_schema()) AS schema,
      set_config('search_path',
        quote_ident(coalesce(%(schema)s, current_schema())) || ', pg_temp', false),
      (SELECT count(set_config(name, wanted, false))
        FROM unnest(%(styles)s::text[], %(style)s::text[]) AS style(name, wanted)),
      (SELECT count(set_config(name, wanted, false))
        FROM unnest(%(limits)s::text[], %(patience)s::text[]) AS patience(name, wanted)
        JOIN pg_settings USING (name) WHERE source <> 'client')
"""
_PID: LiteralString = "SELECT pg_backend_pid()"
# A pooler that lends transactions gives two clients the same session at the first looks.
_LOOKS = 10
_LOOK_SECONDS = 5.0


class TimedConnection(psycopg.Connection[Any]):
    """A connection that is closed when no answer comes; psycopg itself has no limit."""

    answer_seconds = ANSWER_SECONDS

    def __init__(self, pgconn: PGconn) -> None:
        super().__init__(pgconn)
        # The keys of what `round_trip` has prepared in this session.
        self.prepared_here: set[bytes] = set()

    def _deallocate(self, name: bytes | None) -> PQGen[None]:
        """Drop prepared statements; psycopg drops all of the session, not its own, by None."""
        yield from super()._deallocate(name)
        if name is None:
            self.prepared_here.clear()

    def commit(self) -> None:
        if not self._idle():
            super().commit()

    def rollback(self) -> None:
        if not self._idle():
            super().rollback()

    def _idle(self) -> bool:
        """Tell, at less cost than psycopg, whether there is no transaction to end."""
        return self.pgconn.transaction_status == TransactionStatus.IDLE

    def wait(
        self, gen: PQGen[T], interval: float = _WAKE_SECONDS, timeout: float | None = None
    ) -> T:
        try:
            return super().wait(gen, interval, timeout or self.answer_seconds)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.close()
            raise NoAnswer(str(error)) from None


class NoAnswer(psycopg.OperationalError):
    """Postgres took a query and answered nothing in time."""


@contextmanager
def answering(session: TimedConnection, *, within: float) -> Iterator[None]:
    """Let each answer of Postgres take up to `within` seconds, instead of 65."""
    session.answer_seconds = within
    try:
        yield
    finally:
        session.answer_seconds = ANSWER_SECONDS


class Sessions:
    """Opens the sessions of one process."""

    def __init__(self, url: str, *, application_name: str, schema: str | None) -> None:
        """Take a URL of libpq; UsageError, without its text, when libpq cannot read it."""
        try:
            given = postgres_url.parameters(url)
        except ValueError as error:
            raise UsageError(f"the database URL cannot be read: {error}") from None
        self.address = postgres_url.address(given)
        parameters = SOCKET | {"application_name": application_name} | given
        self._conninfo = make_conninfo("", **parameters)
        self._schema = schema
        self._looked_at = False

    def open(self) -> TimedConnection:
        """
        Connect, and pin what the code depends on.

        Raises psycopg's errors, and UsageError for a database or a pooler that it cannot work with.
        """
        session = self._connect()
        try:
            self._begin(session)
        except BaseException:
            session.close()
            raise
        session.autocommit = False
        return session

    def _connect(self) -> TimedConnection:
        return TimedConnection.connect(self._conninfo, autocommit=True)

    def _begin(self, session: TimedConnection) -> None:
        encoding = session.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise UsageError(
                f"the database at {self.address} is encoded in {encoding}, which cannot hold every "
                "name: make another by `createdb --template=template0 --encoding=UTF8 --locale=C "
                "NAME`, and move there"
            )
        pinned = {
            "schema": self._schema,
            "styles": list(STYLE),
            "style": list(STYLE.values()),
            "limits": list(PATIENCE),
            "patience": list(PATIENCE.values()),
        }
        [(pid, schema, *_)] = session.execute(_PIN, pinned).fetchall()
        if schema is None:
            raise UsageError(
                f"no schema of the search path at {self.address} is there and may be used: name "
                "one in IFOOD_DATABASE_SCHEMA"
            )
        # A server tells its own process id when it connects; PgBouncer tells a random one.
        if pid != session.info.backend_pid and not self._looked_at:
            self._looked_at = self._lends_whole_sessions(session, pid)

    def _lends_whole_sessions(self, session: TimedConnection, pid: int) -> bool:
        """
        Tell whether the pooler leaves `session` its server process, and gives it to no other.

        Raises UsageError when it does not; gives False when that cannot be seen now.
        """
        with (
            self._connect() as other,
            answering(session, within=_LOOK_SECONDS),
            answering(other, within=_LOOK_SECONDS),
        ):
            try:
                shared = any(_pid(session) != pid or _pid(other) == pid for _ in range(_LOOKS))
            except NoAnswer:
                if session.closed:
                    raise
                # No transaction takes that long: all sessions are taken.
                log.warning("postgres.pooler_full", address=self.address)
                return False
        if shared:
            raise UsageError(
                f"the pooler at {self.address} lends another session to each transaction, so that "
                "neither time-outs nor prepared statements hold: have it lend whole sessions "
                "(PgBouncer: pool_mode = session), or connect to Postgres itself"
            )
        return True


def _pid(session: TimedConnection) -> int:
    [(pid,)] = session.execute(_PID).fetchall()
    return int(pid)
