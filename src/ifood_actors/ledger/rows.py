"""How readers ask Postgres."""

from typing import Any

from sqlalchemy import Connection, text


def rows_of(connection: Connection, statement: str, **values: object) -> list[dict[str, Any]]:
    """Give the rows of a SELECT, each by column name."""
    return [dict(row) for row in connection.execute(text(statement), values).mappings()]
