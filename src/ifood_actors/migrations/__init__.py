"""The schema's history, shipped with the package: `upgrade` applies what is pending."""

from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Final

from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateSchema

from ifood_actors import operator_acts
from ifood_actors.db import connect, patient
from ifood_actors.errors import IfoodActorsError, UsageError
from ifood_actors.logs import get_logger

__all__ = ["REVISIONS", "comparison", "pending", "require_current", "upgrade"]

log = get_logger(__name__)

# Files are named by their revision, so that a worker need not load Alembic to know the latest.
REVISIONS = sorted(
    path.stem.partition("_")[0] for path in (Path(__file__).parent / "versions").glob("[0-9]*.py")
)

# Any number will do, so long as only migrations of this project take it.
_ADVISORY_LOCK = 7_305_001
_LONGEST = timedelta(days=1)  # for one statement, on the largest of tables
# A session that waits for a table's lock makes all others wait behind it, the relay too: so it
# waits a short time, and then tries again.
_GIVES_WAY_AFTER: Final = "SET LOCAL lock_timeout = '3s'"
_PAUSE: Final = timedelta(seconds=3)
_TRIES: Final = 50
_ROOM = text("""
    SELECT current_schema() AS schema, current_user AS role,
      has_schema_privilege(current_schema(), 'CREATE') AS writable
""")
_ELSEWHERE = text("""
    SELECT nspname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relname = 'ifood_job_events' AND relkind IN ('r', 'p') AND nspname !~ '^pg_'
""")


def upgrade(
    url: str, *, schema: str | None = None, to: str = "head", actor: str | None = None
) -> list[str]:
    """
    Bring the tables of the database at `url` up to date; returns the revisions applied.

    They are in `schema`, which is made if it is missing, or the first of the search path. Several
    processes may call this at once: one migrates, the others wait and find nothing to do. Workers
    and schedulers may work on meanwhile. With an `actor` it is noted as an act of the operator, in
    the same transaction. Raises IfoodActorsError when others hold a table for minutes.
    """
    engine = connect(url, application_name="ifood-actors migrate", schema=schema)
    try:
        for _ in range(_TRIES):
            try:
                return _upgrade(engine, schema, to, actor)
            except OperationalError as error:
                if not isinstance(error.orig, LockNotAvailable | DeadlockDetected):
                    raise
                log.warning("migration.gave_way", pause_seconds=_PAUSE.total_seconds())
            Event().wait(_PAUSE.total_seconds())
    finally:
        engine.dispose()
    raise IfoodActorsError(
        "nothing was migrated: for minutes, somebody held a lock on a table that has to change; "
        "end long transactions (pg_stat_activity shows them), and try again"
    )


def _upgrade(engine: Engine, schema: str | None, to: str, actor: str | None) -> list[str]:
    # Here, and not above: Alembic is 15 MB that no other process needs.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    with engine.begin() as connection, patient(connection, within=_LONGEST):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(_GIVES_WAY_AFTER)
        waiting = pending(connection)
        if waiting:
            _require_room(connection, schema)
            config = Config()
            config.set_main_option("script_location", "ifood_actors:migrations")
            config.attributes["connection"] = connection
            command.upgrade(config, to)
            if actor is not None:
                operator_acts.note(connection, "db upgrade", actor=actor, applied=waiting)
        return waiting


def pending(connection: Connection) -> list[str]:
    """
    Name the revisions that the database does not have yet, oldest first.

    None are pending for a database that is newer than this program: its migrations leave a former
    version what it needs (CONTRIBUTING.md), so that processes of both work side by side.
    """
    if not inspect(connection).has_table("alembic_version"):
        _require_that_none_are_elsewhere(connection)
        return list(REVISIONS)
    current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if current is None or current in REVISIONS:
        return [revision for revision in REVISIONS if current is None or revision > current]
    if not (current.isdecimal() and current > REVISIONS[-1]):
        raise UsageError(f"the database is at revision {current}, which is none of this program's")
    log.warning("schema.newer", revision=current, known=REVISIONS[-1])
    return []


def require_current(connection: Connection) -> None:
    """Raise UsageError unless every migration has been applied."""
    if waiting := pending(connection):
        raise UsageError(
            f"the database lacks {len(waiting)} migration(s), from {waiting[0]} on: "
            "run `ifood-actors db upgrade`"
        )


def _require_room(connection: Connection, schema: str | None) -> None:
    """Make the schema that was named and is missing; UsageError unless tables can be made in it."""
    if schema is not None and not inspect(connection).has_schema(schema):
        connection.execute(CreateSchema(schema))
    room = connection.execute(_ROOM).one()
    if schema not in (None, room.schema) or not room.writable:
        name = schema or room.schema
        raise UsageError(
            f"the role {room.role} may make no tables in the schema {name}: "
            f"GRANT USAGE, CREATE ON SCHEMA {name} TO {room.role}"
        )


def _require_that_none_are_elsewhere(connection: Connection) -> None:
    """A process with a new search path must not begin a second system beside the first."""
    found = connection.execute(_ELSEWHERE).scalars().first()
    if found is not None:
        raise UsageError(
            f"the tables of this database are in the schema {found}, which is not the first of the "
            f"search path: set IFOOD_DATABASE_SCHEMA={found}"
        )
