"""
Accounts as CSV: what a spreadsheet or another program wrote, checked cell by cell.

Pure. Every problem of a file is reported at once, with its line, its column and what was expected.
A text cell that a spreadsheet would take for a formula is written with a leading `'`, and read
without it, so that an export imports again unchanged.
"""

import csv
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from io import StringIO
from typing import TextIO, TypeVar

from ifood_actors.config.values import zone
from ifood_actors.errors import UsageError

T = TypeVar("T")

COLUMNS = ("name", "ifood_merchant_id", "timezone", "priority", "active", "app")
NEEDED = COLUMNS[:2]
DEFAULT_TIMEZONE = "America/Sao_Paulo"

_HIGHEST_PRIORITY = 1_000_000
_LONGEST = {"name": 200, "ifood_merchant_id": 100}  # characters; far more than iFood's own have
_LONGEST_QUOTE = 60
# What a spreadsheet says, in English and Portuguese.
_TRUE = frozenset({"true", "yes", "1", "sim", "s", "verdadeiro", ""})
_FALSE = frozenset({"false", "no", "0", "não", "nao", "n", "falso"})

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# How a text begins that must be guarded, for Python and for Postgres. An apostrophe that stands
# before one of these is doubled as well: it would be taken for a guard.
FORMULA = r"'*[=+\-@\t\r]"
_TO_GUARD = re.compile(FORMULA)
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One account of a file; None is what the file does not speak about."""

    name: str
    merchant_id: str
    timezone: str | None = None
    priority: int | None = None
    active: bool | None = None
    app: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """The accounts of a file, and the columns that it has."""

    columns: frozenset[str]
    entries: Sequence[Entry]


class BadSheet(UsageError):
    """A file cannot be imported; `problems` has one line each, in the order of the file."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def read_sheet(content: bytes, *, apps: Collection[str]) -> Sheet:
    """
    Read a CSV file with a header: UTF-8 with or without BOM, `;` or `,`, columns in any order.

    `apps` are the names of the known applications. Raises BadSheet with everything that is wrong.
    """
    lines = _lines(_decoded(content))
    try:
        _, header = next(lines)
    except StopIteration:
        raise BadSheet([f"the file is empty: expected a header with {', '.join(NEEDED)}"]) from None
    columns = _columns(header)

    reader = _Reader(columns, apps)
    for number, cells in lines:
        reader.read(number, cells)
    if reader.problems:
        raise BadSheet(reader.problems)
    return Sheet(frozenset(columns), reader.entries)


def fitting_name(text: str) -> str:
    """Give a name that a sheet can hold: printable, on one line, not too long; perhaps empty."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[: _LONGEST["name"]].rstrip()


def write_sheet(entries: Iterable[Entry], out: TextIO) -> None:
    """Write accounts with all columns, separated by commas, safe for a spreadsheet."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        active = "true" if entry.active else "false"
        texts = (entry.name, entry.merchant_id, entry.timezone or "")
        cells = (*map(_guard, texts), str(entry.priority or 0), active, _guard(entry.app or ""))
        writer.writerow(cells)


class _Reader:
    """Collects entries and problems, line by line."""

    def __init__(self, columns: Sequence[str], apps: Collection[str]) -> None:
        self.entries: list[Entry] = []
        self.problems: list[str] = []
        self._columns = columns
        self._apps = apps
        self._line_of: dict[str, int] = {}

    def read(self, number: int, cells: Sequence[str]) -> None:
        width = len(self._columns)
        if len(cells) < width or any(cells[width:]):
            self._refuse(number, f"expected {width} cells, as in the header, not {len(cells)}")
            return
        texts = dict(zip(self._columns, cells, strict=False))
        before = len(self.problems)
        entry = Entry(
            name=self._value(number, texts, "name", _name) or "",
            merchant_id=self._value(number, texts, "ifood_merchant_id", _merchant_id) or "",
            timezone=self._value(number, texts, "timezone", _timezone),
            priority=self._value(number, texts, "priority", _priority),
            active=self._value(number, texts, "active", _active),
            app=self._value(number, texts, "app", self._app),
        )
        first = self._line_of.setdefault(entry.merchant_id, number)
        if entry.merchant_id and first != number:
            self._refuse(number, f"the same merchant as in line {first}", "ifood_merchant_id")
        if len(self.problems) == before:
            self.entries.append(entry)

    def _value(
        self, number: int, texts: dict[str, str], column: str, read: Callable[[str], T]
    ) -> T | None:
        if column not in texts:
            return None
        text = texts[column]
        try:
            return read(text)
        except ValueError as error:
            self._refuse(number, f"{error}, not {_quote(text)}" if text else str(error), column)
            return None

    def _app(self, text: str) -> str | None:
        if text and text not in self._apps:
            known = ", ".join(sorted(self._apps)) or "none yet: see `ifood-actors apps add`"
            raise ValueError(f"expected the name of an application ({known})")
        return text or None

    def _refuse(self, number: int, what: str, column: str | None = None) -> None:
        where = f"line {number}, {column}" if column else f"line {number}"
        self.problems.append(f"{where}: {what}")


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise BadSheet(
            [f"line {number}: expected UTF-8 (in Excel, save as 'CSV UTF-8'), not other bytes"]
        ) from None
    return text


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """Give the lines that are not empty, trimmed and without guards, each with its number."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = ";" if header.count(";") > header.count(",") else ","
    rows = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 1
    try:
        for cells in rows:
            trimmed = [_unguard(cell.strip(" ")) for cell in cells]
            if any(trimmed):
                yield number, trimmed
            number = rows.line_num + 1
    except csv.Error as error:
        raise BadSheet([f"line {number}: not CSV: {error}"]) from None


def _columns(header: Sequence[str]) -> list[str]:
    names = [name.lower() for name in header]
    while names and not names[-1]:
        names.pop()
    problems = [_unknown(name) for name in names if name not in COLUMNS]
    twice = {name for name in names if names.count(name) > 1}
    problems += [f"line 1: the column {name} stands there twice" for name in sorted(twice)]
    problems += [f"line 1: the column {name} is missing" for name in NEEDED if name not in names]
    if problems:
        raise BadSheet(problems)
    return names


def _unknown(name: str) -> str:
    near = get_close_matches(name, COLUMNS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected some of {', '.join(COLUMNS)}"
    return f"line 1: no such column: {_quote(name)}; {hint}"


def _name(text: str) -> str:
    return _plain(text, column="name")


def _merchant_id(text: str) -> str:
    found = _plain(text, column="ifood_merchant_id")
    if " " in found:
        raise ValueError("expected an id without spaces")
    # iFood writes UUIDs in small letters; other capitals would be a second account, and pull twice.
    return found.lower() if _UUID.fullmatch(found) else found


def _plain(text: str, *, column: str) -> str:
    text = text.replace("\N{NO-BREAK SPACE}", " ").strip(" ")  # what is copied from a page has them
    if not text:
        raise ValueError("expected a value, found an empty cell")
    if not text.isprintable():
        raise ValueError("expected printable characters on one line")
    if len(text) > _LONGEST[column]:
        raise ValueError(f"expected at most {_LONGEST[column]} characters")
    return text


@lru_cache(maxsize=1024)
def _timezone(text: str) -> str:
    return zone(text).key if text else DEFAULT_TIMEZONE


def _priority(text: str) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?[0-9]{1,7}", text) or abs(int(text)) > _HIGHEST_PRIORITY:
        raise ValueError(f"expected a whole number of at most {_HIGHEST_PRIORITY:,}")
    return int(text)


def _active(text: str) -> bool:
    word = text.lower()
    if word not in _TRUE and word not in _FALSE:
        raise ValueError("expected true or false")
    return word in _TRUE


def _guard(text: str) -> str:
    # A name given by SQL may hold one; the writer would not quote it, and it ends a row.
    text = text.replace("\r", " ")
    return f"'{text}" if _TO_GUARD.match(text) else text


def _unguard(text: str) -> str:
    return text[1:] if _GUARDED.match(text) else text


def _quote(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}...")
