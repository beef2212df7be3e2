"""The schema as it is, against the schema as the code declares it."""

from warnings import catch_warnings, filterwarnings

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.exc import SAWarning
from sqlmodel import SQLModel

from ifood_actors import (  # noqa: F401 - their tables are in the metadata
    accounts,
    feeds,
    operator_acts,
)
from ifood_actors.alerts import alert_tables as _alerts  # noqa: F401 - the same
from ifood_actors.ifood import tables as _ifood  # noqa: F401 - the same, without what asks iFood
from ifood_actors.ledger import job_tables as _ledger  # noqa: F401 - the same


def differences_of(connection: Connection) -> list[str]:
    """Tell where the schema differs from the code; empty when they agree."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    with catch_warnings():
        # SQLAlchemy 2.1 hands on what it has read of a constraint that is NOT VALID, and wonders.
        filterwarnings("ignore", "Can't validate argument 'dialect_options'", SAWarning)
        changes = compare_metadata(context, SQLModel.metadata)
    return [_readable(change) for change in changes]


def _readable(change: object) -> str:
    match change:
        case [(str(what), *rest), *_] | (str(what), *rest):
            return f"{what}: {' '.join(str(part) for part in rest if part is not None)}"
        case _:
            return str(change)
