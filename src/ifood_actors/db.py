"""Connections to Postgres: one engine a process, short transactions, a limit on every wait."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime, timedelta
from itertools import takewhile
from random import uniform
from threading import Event
from time import monotonic
from typing import Any, TypeVar, cast
from uuid import UUID

import psycopg
import structlog
from psycopg import errors
from sqlalchemy import Column, Connection, DateTime, Uuid, create_engine, event, func, text
from sqlalchemy.engine import URL, Engine, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlmodel import SQLModel

from ifood_actors.errors import ServiceUnavailable, UsageError, causes
from ifood_actors.plain_text import first_line
from ifood_actors.session import NoAnswer, Sessions, TimedConnection, answering

log = structlog.get_logger(__name__)

T = TypeVar("T")

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

_CERTIFICATE_ADVICE = (
    "renew it if it has expired, correct the host, or name its authority by sslrootcert=FILE in "
    "IFOOD_DATABASE_URL"
)
_OWN_CERTIFICATE_ADVICE = (
    "name one that it trusts by sslcert=FILE&sslkey=FILE in IFOOD_DATABASE_URL"
)
_RIGHTS_ADVICE = (
    "this login lacks a right: run infra/postgres/roles.sql again, as after each `db upgrade`"
)
_NOW = text("SELECT clock_timestamp()")
_FOR_LONG = text("SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = 0")
_PING_AFTER = timedelta(seconds=10)
_LONG = timedelta(minutes=15)

# Seconds before each further attempt, each varied by a half: a deadlock is over at once, a restart
# takes a moment.
PAUSES = (0.1, 0.5, 2.0)
_PASSING = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.TooManyConnections,
)


def connect(
    url: str, *, application_name: str, pool_size: int = 5, schema: str | None = None
) -> Engine:
    """
    Make the engine for one process; nothing is connected yet.

    `pool_size` is the number of threads that may hold a transaction at the same time. The tables
    are in `schema`, by default the first of the search path. What the URL says in its query has
    precedence over `session.SOCKET` and `session.PATIENCE`.

    Raises UsageError when libpq cannot read `url`; the text does not repeat it.
    """
    sessions = Sessions(url, application_name=application_name, schema=schema)
    engine = create_engine(
        # Only for people: it is the sessions that know the way.
        URL.create("postgresql+psycopg", host=sessions.address),
        creator=sessions.open,
        pool_size=pool_size,
        max_overflow=2,
        pool_timeout=30,
        hide_parameters=True,
    )
    _ping_after_idling(engine)
    event.listen(engine, "handle_error", _leave_a_server_that_only_reads)
    return engine


def beside(engine: Engine) -> Engine:
    """
    Make an engine to the same server that shares no connection with `engine`.

    For a session that stays: it takes none from the threads, and is not one that idled away there.
    """
    own = create_engine(engine.url, pool=engine.pool.recreate(), hide_parameters=True)
    event.listen(own, "handle_error", _leave_a_server_that_only_reads)
    return own


def transaction(engine: Engine) -> AbstractContextManager[Connection]:
    """Open a transaction, commit it at the end of the block, roll it back on any exception."""
    return engine.begin()


@contextmanager
def patient(connection: Connection, *, within: timedelta) -> Iterator[None]:
    """Let each answer of Postgres take up to `within`, instead of 65 s."""
    link = cast("TimedConnection", connection.connection.driver_connection)
    with answering(link, within=within.total_seconds()):
        yield


@contextmanager
def driver(connection: Connection) -> Iterator[TimedConnection]:
    """
    Lend psycopg's own connection, for what SQLAlchemy has no words for, such as COPY.

    It is in the same transaction. What it raises becomes SQLAlchemy's error, which `repeated` and
    those who catch one know.
    """
    try:
        yield cast("TimedConnection", connection.connection.driver_connection)
    except BaseException as error:  # noqa: BLE001 - interrupts, too; all are raised again
        # SQLAlchemy has no public way to hear of an error of its own driver's connection; without
        # it, a connection that is lost would go back into the pool.
        connection._handle_dbapi_exception(error, None, None, None, None)  # noqa: SLF001


@contextmanager
def long_reading(engine: Engine) -> Iterator[Connection]:
    """
    Open a transaction that only reads, for one statement over very many rows.

    The statement may take as long as its reader does; Postgres may be silent for 15 minutes, as
    while it sorts.
    """
    with engine.begin() as connection, patient(connection, within=_LONG):
        connection.execute(_FOR_LONG)
        yield connection


def repeated(engine: Engine, work: Callable[[Connection], T]) -> T:
    """
    Do `work` in a transaction; do it again, up to three times, after a fault that passes.

    Such are a serialization failure, a deadlock, a server that shuts down, starts, only reads
    since a fail-over or takes no more connections, and a connection that is lost. Anything else is
    raised at once, also what took its full time, and the last fault.

    A connection that is lost in the commit leaves open whether the commit took place, so `work`
    must be such that a second time does no harm. The ledger's acts are: each is guarded by the
    state that it starts from. After a commit that did take place, a second `succeed`, `retry`,
    `snooze` or `fail` raises LeaseLost, which undoes what was stored with it, so nothing is there
    twice; a second `claim` waits for the first one and goes on with it;
    a second batch of the relay finds other jobs, and a message that was sent twice has a
    `dispatch_no` that is claimed once.
    """
    pauses, handled = iter(PAUSES), sys.exception()
    while True:
        try:
            with transaction(engine) as tx:
                return work(tx)
        except DBAPIError as error:
            pause = next(pauses, None)
            if pause is None or not _passes(error, handled=handled):
                raise
            log.warning("transaction.repeated", fault=type(error.orig).__name__)
        Event().wait(pause * uniform(0.5, 1.5))  # noqa: S311 - spreads, guards nothing


def rows_of(connection: Connection, statement: str, **values: object) -> list[dict[str, Any]]:
    """Give the rows of a statement, each by column name."""
    return [dict(row) for row in connection.execute(text(statement), values).mappings()]


def read(type_: type[T], connection: Connection, statement: str, **values: object) -> list[T]:
    """Give the rows of a statement as values of a type whose fields are its columns."""
    return [type_(**row) for row in rows_of(connection, statement, **values)]


def instant(*, nullable: bool = True, now: bool = False) -> Column[datetime]:
    """Make a column of instants; with `now` it is the transaction's start unless it is given."""
    default = func.now() if now else None
    return Column(DateTime(timezone=True), nullable=nullable, server_default=default)


def random_id() -> Column[UUID]:
    """Make a column of primary keys, which the database fills where the code does not."""
    return Column(Uuid, primary_key=True, server_default=func.gen_random_uuid())


def database_now(connection: Connection) -> datetime:
    """Give the database's clock, the only one that all processes share."""
    now: datetime = connection.execute(_NOW).scalar_one()
    return now


def require_reachable(engine: Engine) -> None:
    """
    Raise ServiceUnavailable, with the address but no password, unless Postgres answers.

    Raises UsageError when it is no database to work with.
    """
    try:
        with engine.connect():
            return
    except OperationalError as error:
        reason = reason_of(error)
        # libpq has no code for a certificate, and says no more of one that has expired.
        certificate = "certificate" in reason
        if "client certificate" in reason:
            reason += f": {_OWN_CERTIFICATE_ADVICE}"
        elif certificate:
            reason += f": {_CERTIFICATE_ADVICE}"
        elif "unsupported startup parameter" in reason:
            raise UsageError(f"{reason}: leave it out of IFOOD_DATABASE_URL") from None
        raise ServiceUnavailable(
            f"Postgres at {address(engine)} cannot be reached: {reason}",
            cause="certificate" if certificate else None,
        ) from None


def address(engine: Engine) -> str:
    """Name hosts, ports and database, never the user or the password."""
    return str(engine.url.host)


def reason_of(error: BaseException) -> str:
    """Give the first line of what Postgres said, or else of what the error says."""
    said = error.orig if isinstance(error, DBAPIError) else error
    return first_line(said or error)


def missing_right(error: BaseException) -> str | None:
    """Say in one line which right the login lacks and what to do; None for any other error."""
    denied = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(denied, errors.InsufficientPrivilege):
        return None
    return f"{denied.diag.message_primary}: {_RIGHTS_ADVICE}"


def _passes(error: DBAPIError, *, handled: BaseException | None) -> bool:
    """Tell whether another try may succeed; `handled` is what the caller deals with already."""
    for cause in takewhile(lambda cause: cause is not handled, causes(error)):
        if not isinstance(cause, Exception):
            return False  # an interrupt broke it, to end the work
        if isinstance(cause, NoAnswer):
            return False
    # A connection that cannot be made has no code.
    nameless = isinstance(error, OperationalError) and not getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or nameless or isinstance(error.orig, _PASSING)


def _leave_a_server_that_only_reads(context: ExceptionContext) -> None:
    """Make the pool reconnect: after a fail-over its connections stay with the former server."""
    if isinstance(context.original_exception, errors.ReadOnlySqlTransaction):
        context.is_disconnect = True


def _ping_after_idling(engine: Engine) -> None:
    """
    Replace a connection that died while it was idle, before it is used.

    As SQLAlchemy's `pool_pre_ping`, but not for connections in steady use: there it would be two
    more round trips for each transaction.
    """

    @event.listens_for(engine, "checkin")
    def note(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = monotonic()

    @event.listens_for(engine, "checkout")
    def ping(
        connection: DBAPIConnection, record: ConnectionPoolEntry, _: PoolProxiedConnection
    ) -> None:
        idle = monotonic() - record.info.get("idle_since", monotonic())
        if idle > _PING_AFTER.total_seconds() and not _answers(engine, connection):
            raise DisconnectionError


def _answers(engine: Engine, connection: DBAPIConnection) -> bool:
    try:
        return engine.dialect.do_ping(connection)
    except psycopg.Error:
        return False
