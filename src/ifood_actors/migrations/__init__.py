"""The schema's history, shipped with the package: `upgrade` applies what is pending."""

from datetime import timedelta
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from ifood_actors.db import connect, patient
from ifood_actors.errors import UsageError

# Files are named by their revision, so that a worker need not load Alembic to know the latest.
REVISIONS = sorted(
    path.stem.partition("_")[0] for path in (Path(__file__).parent / "versions").glob("[0-9]*.py")
)

# Any number will do, so long as only migrations of this project take it.
_ADVISORY_LOCK = 7_305_001
_LONGEST = timedelta(days=1)  # for one statement, on the largest of tables


def upgrade(url: str) -> list[str]:
    """
    Bring the schema of the database at `url` up to date; returns the revisions applied.

    Several processes may call this at once: one migrates, the others wait and find nothing to do.
    """
    # Here, and not above: Alembic is 15 MB that no other process needs.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    engine = connect(url, application_name="ifood-actors migrate")
    try:
        with engine.begin() as connection, patient(connection, within=_LONGEST):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            waiting = pending(connection)
            config = Config()
            config.set_main_option("script_location", "ifood_actors:migrations")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            return waiting
    finally:
        engine.dispose()


def pending(connection: Connection) -> list[str]:
    """Name the revisions that the database does not have yet, oldest first."""
    if not inspect(connection).has_table("alembic_version"):
        return list(REVISIONS)
    current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if current is not None and current not in REVISIONS:
        raise UsageError(
            f"the database is at revision {current}, which this version does not know: "
            "install the version that made it, or a newer one"
        )
    return [revision for revision in REVISIONS if current is None or revision > current]


def require_current(connection: Connection) -> None:
    """Raise UsageError unless every migration has been applied."""
    if waiting := pending(connection):
        raise UsageError(
            f"the database lacks {len(waiting)} migration(s), from {waiting[0]} on: "
            "run `ifood-actors db upgrade`"
        )
