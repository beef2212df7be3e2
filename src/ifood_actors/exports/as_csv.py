"""
Records as CSV, written by Postgres itself: UTF-8, a header, empty cells for what iFood did not say.

Two dialects. The plain one is for programs: commas, decimal points, instants in UTC as
`2026-03-31T12:00:00.000000Z`. That of Brazilian spreadsheets has semicolons, decimal commas, a
byte order mark, and instants by the clock of the selection's zone.
"""

import codecs
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from sqlalchemy import Column, Connection, DateTime, Numeric, String

from ifood_actors.exports.selection import Selection, by_the_clock, guarded

if TYPE_CHECKING:
    import psycopg


def write_csv(
    connection: Connection, selection: Selection, out: BinaryIO, *, brazilian: bool = False
) -> int:
    """Write the selected records; returns how many."""
    if brazilian:
        out.write(codecs.BOM_UTF8)
    query, values = selection.query(_brazilian if brazilian else _plain)
    delimiter = ";" if brazilian else ","
    statement = f"COPY ({query}) TO STDOUT (FORMAT csv, HEADER, DELIMITER '{delimiter}')"
    link = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with link.cursor() as cursor:
        with cursor.copy(statement.encode(), values) as copy:
            out.writelines(copy)
        return cursor.rowcount


def _plain(column: Column[Any]) -> str:
    match column.type:
        case String():
            return guarded(column)
        case DateTime():
            in_utc = f"{column.name} AT TIME ZONE 'UTC'"
            return f"""to_char({in_utc}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        case _:
            return column.name


def _brazilian(column: Column[Any]) -> str:
    match column.type:
        case DateTime():
            return by_the_clock(column)
        case Numeric():
            return f"replace({column.name}::text, '.', ',')"
        case _:
            return _plain(column)
