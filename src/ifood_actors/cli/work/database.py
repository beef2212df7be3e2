"""The database as a command gets it: reachable, migrated, and named faults if it goes away."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar
from zoneinfo import ZoneInfo

import psycopg
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ifood_actors import logs, operator_acts
from ifood_actors.accounts import application_names
from ifood_actors.cli.work.caller import operator
from ifood_actors.config import Settings, loading
from ifood_actors.db import (
    address,
    connect,
    missing_right,
    reason_of,
    require_reachable,
    transaction,
)
from ifood_actors.errors import IfoodActorsError, ServiceUnavailable, UsageError, causes
from ifood_actors.masking import secret_texts
from ifood_actors.migrations import require_current

P = ParamSpec("P")
T = TypeVar("T")
Note = Callable[..., None]


@dataclass(frozen=True)
class CommandContext:
    """The settings and the database of one command."""

    settings: Settings
    engine: Engine

    def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `work` with a transaction, and give what it returns."""
        with transaction(self.engine) as tx:
            return work(tx, *args, **kwargs)

    @contextmanager
    def act(self, name: str, *, dry_run: bool = False) -> Iterator[tuple[Connection, Note]]:
        """
        Give a transaction, and the note that leaves the act `name` of this operator in it.

        A dry run does everything, and takes it back.
        """
        with transaction(self.engine) as tx:
            yield tx, partial(operator_acts.note, tx, name, actor=operator())
            if dry_run:
                tx.rollback()


@contextmanager
def opened(settings: Settings | None = None, *, migrated: bool = True) -> Iterator[CommandContext]:
    """Give the settings, loaded unless given, with their database; raises as `open_database`."""
    settings = settings or loading.load()
    with open_database(settings, migrated=migrated) as engine:
        yield CommandContext(settings, engine)


def read(
    work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> tuple[T, ZoneInfo]:
    """Call `work` in a transaction of its own; give what it returns, and the zone to show it in."""
    with opened() as command:
        return command.read(work, *args, **kwargs), command.settings.timezone


def require_application(connection: Connection, name: str) -> None:
    """Raise UsageError unless there is such an application."""
    if name not in application_names(connection):
        raise UsageError(f"no such application: {name!r}; see `ifood-actors apps list`")


@contextmanager
def open_database(
    settings: Settings, *, name: str = "cli", migrated: bool = True, pool_size: int = 2
) -> Iterator[Engine]:
    """
    Give an engine for the length of one command, which Postgres lists as `ifood-actors NAME`.

    Raises UsageError without a URL, and unless all migrations were applied (which `migrated` False
    does not ask for); ServiceUnavailable when Postgres does not answer, now or in the block.
    """
    level = "debug" if settings.log_level == "debug" else "warning"
    logs.configure(level, hidden=secret_texts(settings))
    engine = connect(
        settings.require_database_url(),
        application_name=f"ifood-actors {name}",
        pool_size=pool_size,
        schema=settings.database_schema,
    )
    try:
        require_reachable(engine)
        if migrated:
            with engine.connect() as connection:
                require_current(connection)
        yield engine
    except (DBAPIError, psycopg.Error) as error:  # the latter of a COPY
        if any(isinstance(cause, KeyboardInterrupt) for cause in causes(error)):
            raise KeyboardInterrupt from None  # it broke the statement, not a fault
        raise _named(error, engine) from error
    finally:
        engine.dispose()


def _named(error: DBAPIError | psycopg.Error, engine: Engine) -> IfoodActorsError:
    if isinstance(error, DBAPIError):
        cause, gone = error.orig, error.connection_invalidated
    else:
        cause, gone = error, isinstance(error, psycopg.OperationalError)
    reason = reason_of(error)
    if isinstance(cause, psycopg.ProgrammingError) and cause.sqlstate is None:  # libpq's, of a URL
        return UsageError(f"IFOOD_DATABASE_URL: {reason}")
    where = f"Postgres at {address(engine)}"
    if denied := missing_right(error):
        return UsageError(f"{where}: {denied}")
    if gone:
        return ServiceUnavailable(f"{where} went away: {reason}")
    return IfoodActorsError(f"{where} refused: {reason}")
