"""How both kinds of readers, reports and search, ask Postgres."""

from typing import Any

from sqlalchemy import text
from sqlmodel import Session


def rows_of(session: Session, statement: str, **values: object) -> list[dict[str, Any]]:
    """Give the rows of a SELECT, each by column name."""
    return [dict(row) for row in session.execute(text(statement), values).mappings()]
