"""The schema as it is, against the schema as the code declares it."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlmodel import SQLModel

from ifood_actors import accounts, acts, feeds  # noqa: F401 - their tables are in the metadata
from ifood_actors.alerts import models as _alerts  # noqa: F401 - the same
from ifood_actors.ifood import models as _ifood  # noqa: F401 - the same
from ifood_actors.ledger import models as _ledger  # noqa: F401 - the same


def differences_of(connection: Connection) -> list[str]:
    """Tell where the schema differs from the code; empty when they agree."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return [_readable(change) for change in compare_metadata(context, SQLModel.metadata)]


def _readable(change: object) -> str:
    match change:
        case [(str(what), *rest), *_] | (str(what), *rest):
            return f"{what}: {' '.join(str(part) for part in rest if part is not None)}"
        case _:
            return str(change)
