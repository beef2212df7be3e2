"""The schema's history, shipped with the package; `upgrade` and `check` are all that is used."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlmodel import SQLModel

from ifood_actors import accounts, feeds  # noqa: F401 - their tables are in the metadata
from ifood_actors.db import connect
from ifood_actors.errors import UsageError
from ifood_actors.ifood import models as _ifood  # noqa: F401 - the same
from ifood_actors.ledger import models as _ledger  # noqa: F401 - the same

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


def differences(connection: Connection) -> list[str]:
    """Tell where the schema differs from the code; empty when they agree."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return [_readable(change) for change in compare_metadata(context, SQLModel.metadata)]


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


def _readable(change: object) -> str:
    match change:
        case [(str(what), *rest), *_] | (str(what), *rest):
            return f"{what}: {' '.join(str(part) for part in rest if part is not None)}"
        case _:
            return str(change)
