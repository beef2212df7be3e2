"""Records as an Excel workbook: numbers are numbers and dates dates; needs the extra `export`."""

from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from sqlalchemy import Column, Connection, Date, DateTime, Integer, Numeric, String, Uuid
from xlsxwriter import Workbook
from xlsxwriter.format import Format

from ifood_actors.errors import IfoodActorsError
from ifood_actors.exports.selection import Selection, by_the_clock, guarded

SHEET_ROWS = 1_048_576  # Excel's limit, the header included
_BATCH = 2_000
_WIDTH = 18  # characters; the width that a content has is known too late


def write_xlsx(
    connection: Connection,
    selection: Selection,
    out: BinaryIO,
    *,
    sheet_rows: int = SHEET_ROWS,
) -> int:
    """
    Write the selected records, on as many sheets as they need; returns how many.

    Instants are by the clock of the selection's zone, since Excel knows no other. Raises
    IfoodActorsError for a text that no cell can hold.
    """
    written = 0
    with TemporaryDirectory() as folder:  # each sheet waits in a file until the end
        book = Workbook(out, {"constant_memory": True, "tmpdir": folder})
        sheets = _Sheets(book, selection, sheet_rows=sheet_rows)
        for rows in selection.batches(connection, _expression, size=_BATCH):
            for row in rows:
                sheets.write(row)
            written += len(rows)
        book.close()
    return written


class _Sheets:
    """Rows in sheets of limited length, each with the header."""

    def __init__(self, book: Workbook, selection: Selection, *, sheet_rows: int) -> None:
        self._book = book
        self._kind = selection.kind
        self._columns = selection.columns
        self._sheet_rows = sheet_rows
        self._formats = [_format(book, column) for column in self._columns]
        self._heading = book.add_format({"bold": True})
        self._number = 0
        self._start()

    def write(self, row: Sequence[Any]) -> None:
        if self._next == self._sheet_rows:
            self._start()
        for number, (column, value) in enumerate(zip(self._columns, row, strict=True)):
            if value is None:
                continue
            match column.type:
                case Numeric() | Integer():
                    self._sheet.write_number(self._next, number, value, self._formats[number])
                case DateTime() | Date():
                    self._sheet.write_datetime(self._next, number, value, self._formats[number])
                case _:
                    self._write_text(number, value)
        self._next += 1

    def _write_text(self, number: int, value: str) -> None:
        # As text, also what looks like a formula, a number or a link.
        if self._sheet.write_string(self._next, number, value):
            raise IfoodActorsError(
                f"{self._columns[number].name}: a cell of Excel holds 32,767 characters, not "
                f"{len(value):,}; export as csv or parquet"
            )

    def _start(self) -> None:
        self._number += 1
        name = self._kind if self._number == 1 else f"{self._kind} {self._number}"
        self._sheet = self._book.add_worksheet(name)
        self._sheet.set_column(0, len(self._columns) - 1, _WIDTH)
        self._sheet.freeze_panes(1, 0)
        self._sheet.write_row(0, 0, [c.name for c in self._columns], self._heading)
        self._next = 1


def _format(book: Workbook, column: Column[Any]) -> Format | None:
    match column.type:
        case Numeric(scale=2):  # with the decimal marks of the reader's Excel
            return book.add_format({"num_format": "#,##0.00"})
        case DateTime():
            return book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        case Date():
            return book.add_format({"num_format": "yyyy-mm-dd"})
        case _:
            return None


def _expression(column: Column[Any]) -> str:
    match column.type:
        case String():
            return guarded(column)
        case Uuid():
            return f"{column.name}::text"
        case DateTime():
            return by_the_clock(column)
        case _:
            return column.name
