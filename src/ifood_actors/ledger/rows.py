"""How readers ask Postgres."""

from typing import Any, TypeVar

from sqlalchemy import Connection, text

T = TypeVar("T")


def rows_of(connection: Connection, statement: str, **values: object) -> list[dict[str, Any]]:
    """Give the rows of a statement, each by column name."""
    return [dict(row) for row in connection.execute(text(statement), values).mappings()]


def read(type_: type[T], connection: Connection, statement: str, **values: object) -> list[T]:
    """Give the rows of a statement as values of a type whose fields are its columns."""
    return [type_(**row) for row in rows_of(connection, statement, **values)]
