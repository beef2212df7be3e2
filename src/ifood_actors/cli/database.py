"""The database as a command gets it: reachable, migrated, and named faults if it goes away."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ifood_actors import logs
from ifood_actors.config import Settings
from ifood_actors.db import address, connect, missing_right, reason_of, require_reachable
from ifood_actors.errors import IfoodActorsError, ServiceUnavailable, UsageError, causes
from ifood_actors.masking import secret_texts
from ifood_actors.migrations import require_current


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
