"""
The lines of a workbook: .xlsx, or another format that calamine reads (.xlsm, .xlsb, .xls, .ods).

One sheet is read: the first that is not hidden, or the one that is named. A formula counts as the
result that the spreadsheet stored, one that failed as an empty cell. Hidden rows are read as well.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from io import BytesIO

from python_calamine import (
    CalamineError,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from ifood_actors.accounts.guard import unguarded
from ifood_actors.accounts.lines import BadSheet, Line, tidy
from ifood_actors.plain_text import quoted

Cell = int | float | str | bool | time | date | datetime | timedelta

_EXACT = 2**53  # a spreadsheet's numbers are floats: integers beyond this are not what was typed


def workbook_lines(content: bytes, name: str | None) -> Iterator[Line]:
    """Return the lines that are not empty of one sheet; raises BadSheet for what is no workbook."""
    try:
        with CalamineWorkbook.from_filelike(BytesIO(content)) as book:
            rows = book.get_sheet_by_name(_sheet(book, name)).to_python(skip_empty_area=False)
    except PasswordError:
        raise BadSheet(["the workbook has a password: save it without one"]) from None
    except CalamineError as error:
        raise BadSheet([f"the workbook cannot be read: {error}; save it again as .xlsx"]) from None
    for number, row in enumerate(rows, start=1):
        dates = [at for at, cell in enumerate(row) if isinstance(cell, time | date | timedelta)]
        refused = dict.fromkeys(dates, "a date or a time")
        line = Line(f"row {number}", [_text(cell) for cell in row], refused)
        if any(line.cells):
            yield line


def _sheet(book: CalamineWorkbook, name: str | None) -> str:
    sheets = [each for each in book.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    if name is not None:
        if name not in {each.name for each in sheets}:
            names = ", ".join(quoted(each.name) for each in sheets)
            raise BadSheet([f"no such sheet: {quoted(name)}; there are {names}"])
        return name
    shown = [each.name for each in sheets if each.visible == SheetVisibleEnum.Visible]
    if not shown:
        raise BadSheet(["the workbook has no sheet that is not hidden"])
    return shown[0]


def _text(cell: Cell) -> str:
    match cell:
        case bool():
            return "true" if cell else "false"
        case float() if cell.is_integer():
            return str(int(cell)) if abs(cell) < _EXACT else repr(cell)
        case str():
            return unguarded(tidy(cell))
        case _:
            return str(cell)
