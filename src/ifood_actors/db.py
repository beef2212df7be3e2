"""Connections to Postgres: one engine a process, short transactions, a limit on every wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from time import monotonic

import psycopg
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DisconnectionError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlmodel import SQLModel

from ifood_actors.errors import ServiceUnavailable, UsageError

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# A dead peer is noticed in about 30 s on an idle connection (keepalives) and on a busy one
# (tcp_user_timeout, milliseconds), instead of the kernel's two hours and fifteen minutes.
_SOCKET = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}
_NOW = text("SELECT clock_timestamp()")
_PING_AFTER = timedelta(seconds=10)
# No statement of this system needs longer; a longer wait is a fault that the ledger heals.
_SESSION = {
    "timezone": "UTC",
    "statement_timeout": "60s",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
}


def connect(url: str, *, application_name: str, pool_size: int = 5) -> Engine:
    """
    Make the engine for one process; nothing is connected yet.

    `pool_size` is the number of threads that may hold a transaction at the same time.

    Raises UsageError when `url` is no Postgres URL; the text does not repeat it.
    """
    engine = create_engine(
        _psycopg(url),
        pool_size=pool_size,
        max_overflow=2,
        pool_timeout=30,
        hide_parameters=True,
        connect_args={
            **_SOCKET,
            "application_name": application_name,
            "options": " ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
        },
    )
    _ping_after_idling(engine)
    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Open a transaction, commit it at the end of the block, roll it back on any exception."""
    with engine.begin() as connection:
        yield connection


def database_now(connection: Connection) -> datetime:
    """Give the database's clock, the only one that all processes share."""
    now: datetime = connection.execute(_NOW).scalar_one()
    return now


def require_reachable(engine: Engine) -> None:
    """Raise ServiceUnavailable, with the address but no password, unless Postgres answers."""
    try:
        with engine.connect():
            return
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0] if error.orig else "no answer"
        raise ServiceUnavailable(
            f"Postgres at {address(engine.url)} cannot be reached: {reason}"
        ) from None


def address(url: URL) -> str:
    """Name host, port and database of a URL, never its user or password."""
    return f"{url.host or 'local socket'}:{url.port or 5432}/{url.database or ''}"


def _ping_after_idling(engine: Engine) -> None:
    """
    Replace a connection that died while it was idle, before anybody uses it.

    As SQLAlchemy's `pool_pre_ping`, but not for connections in steady use: there it would be two
    more round trips for each transaction.
    """

    def note(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = monotonic()

    def ping(
        connection: DBAPIConnection, record: ConnectionPoolEntry, _: PoolProxiedConnection
    ) -> None:
        idle = monotonic() - record.info.get("idle_since", monotonic())
        if idle > _PING_AFTER.total_seconds() and not _answers(engine, connection):
            raise DisconnectionError

    event.listen(engine, "checkin", note)
    event.listen(engine, "checkout", ping)


def _answers(engine: Engine, connection: DBAPIConnection) -> bool:
    try:
        return engine.dialect.do_ping(connection)
    except psycopg.Error:
        return False


def _psycopg(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise UsageError("the database URL cannot be read: write postgresql://...") from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise UsageError(f"the database must be Postgres, not {parsed.get_backend_name()}")
    return parsed.set(drivername="postgresql+psycopg")
