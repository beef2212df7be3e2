"""The schema's history, shipped with the package: `upgrade` applies what is pending."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from ifood_actors.db import connect
from ifood_actors.errors import UsageError

# Any number will do, so long as only migrations of this project take it.
_ADVISORY_LOCK = 7_305_001


def upgrade(url: str) -> list[str]:
    """
    Bring the schema of the database at `url` up to date; returns the revisions applied.

    Several processes may call this at once: one migrates, the others wait and find nothing to do.
    """
    engine = connect(url, application_name="ifood-actors migrate")
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            waiting = pending(connection)
            command.upgrade(_config(connection), "head")
            return waiting
    finally:
        engine.dispose()


def pending(connection: Connection) -> list[str]:
    """Name the revisions that the database does not have yet, oldest first."""
    script = ScriptDirectory.from_config(_config(connection))
    current = MigrationContext.configure(connection).get_current_heads()
    try:
        missing = script.iterate_revisions("head", current or "base")
        return [revision.revision for revision in missing][::-1]
    except Exception as error:
        raise UsageError(
            f"the database is at revision {', '.join(current)}, which this version does not know: "
            "install the version that made it, or a newer one"
        ) from error


def require_current(connection: Connection) -> None:
    """Raise UsageError unless every migration has been applied."""
    if waiting := pending(connection):
        raise UsageError(
            f"the database lacks {len(waiting)} migration(s), from {waiting[0]} on: "
            "run `ifood-actors db upgrade`"
        )


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "ifood_actors:migrations")
    config.attributes["connection"] = connection
    return config
