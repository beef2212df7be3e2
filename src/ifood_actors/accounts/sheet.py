"""
Accounts as a sheet: what a spreadsheet or another program wrote, checked cell by cell.

Pure. Every problem of a file is reported at once, with its line, its column and what was expected.
A text cell that a spreadsheet would take for a formula is written with a leading `'`, and read
without it, so that an export imports again unchanged.
"""

import csv
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from itertools import zip_longest
from typing import TextIO, TypeVar

from ifood_actors.accounts.guard import guarded
from ifood_actors.accounts.identifiers import canonical_id, cnpj, formatted_cnpj, merchant_id
from ifood_actors.accounts.lines import BadSheet, Line, csv_lines, tidy
from ifood_actors.accounts.workbook_lines import workbook_lines
from ifood_actors.notation import zone
from ifood_actors.plain_text import one_line, quoted

T = TypeVar("T")

COLUMNS = ("name", "ifood_merchant_id", "timezone", "priority", "active", "app", "cnpj", "group")
NEEDED = COLUMNS[:2]
DEFAULT_TIMEZONE = "America/Sao_Paulo"

# What Brazilian sheets call them; case, accents and what joins the words do not count.
_ALSO_CALLED = {
    "nome": "name",
    "merchant_id": "ifood_merchant_id",
    "id_ifood": "ifood_merchant_id",
    "fuso_horario": "timezone",
    "prioridade": "priority",
    "ativo": "active",
    "ativa": "active",
    "aplicativo": "app",
    "grupo": "group",
}
_HIGHEST_PRIORITY = 1_000_000
_LONGEST = 200  # characters of a name, and of a group
# What a spreadsheet says, in English and Portuguese.
_TRUE = frozenset({"true", "yes", "1", "sim", "s", "verdadeiro", ""})
_FALSE = frozenset({"false", "no", "0", "não", "nao", "n", "falso"})
_TOTALS = re.compile(r"(sub)?tota(l|is)( geral)?:?|soma:?", re.IGNORECASE)
# The first bytes of a ZIP file, as .xlsx and .ods are, and of Microsoft's older files.
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One account of a file, or of a list; the fields are the columns of a file.

    None stands for a column that the file lacks, or for an account that has no such value.
    """

    name: str
    ifood_merchant_id: str
    timezone: str | None = None
    priority: int | None = None
    active: bool | None = None
    app: str | None = None
    cnpj: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """The accounts of a file, and the columns that it has."""

    columns: frozenset[str]
    entries: Sequence[Entry]


def read_sheet(content: bytes, *, apps: Collection[str], name: str | None = None) -> Sheet:
    """
    Read a CSV file or a workbook with a header, columns in any order.

    `apps` are the names of the known applications, `name` that of the workbook's sheet. Raises
    BadSheet with everything that is wrong.
    """
    lines = _lines(content, name)
    try:
        header = next(lines)
    except StopIteration:
        raise BadSheet([f"the file is empty: expected a header with {', '.join(NEEDED)}"]) from None
    columns = _columns(header)

    reader = _Reader(columns, apps)
    for line in lines:
        reader.read(line)
    if reader.problems:
        raise BadSheet(reader.problems)
    return Sheet(frozenset(columns), reader.entries)


def fitting_name(text: str) -> str:
    """Return a name that a sheet can hold: printable, on one line, not too long; perhaps empty."""
    return one_line(tidy(text), most=_LONGEST).rstrip()


def write_sheet(entries: Iterable[Entry], out: TextIO) -> None:
    """Write accounts with all columns, separated by commas, safe for a spreadsheet."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        texts = (entry.name, entry.ifood_merchant_id, entry.timezone or "")
        active = "true" if entry.active else "false"
        cnpj_ = formatted_cnpj(entry.cnpj) if entry.cnpj else ""
        cells = (str(entry.priority or 0), active, _safe(entry.app), cnpj_, _safe(entry.group))
        writer.writerow((*map(_safe, texts), *cells))


class _Reader:
    def __init__(self, columns: Sequence[str], apps: Collection[str]) -> None:
        self.entries: list[Entry] = []
        self.problems: list[str] = []
        self._columns = columns
        self._apps = apps
        self._line_of: dict[str, str] = {}

    def read(self, line: Line) -> None:
        width = len(self._columns)
        if beyond := [cell for cell in line.cells[width:] if cell]:
            found = f"found {quoted(beyond[0])} beyond the {width} columns of the header"
            self._refuse(line, f"{found}: a cell that holds the separator needs quotes")
            return
        if total := _total(line):
            self._refuse(line, f"found {quoted(total)} and no merchant id: leave out totals")
            return
        # Excel leaves out the separators after the last cell that is filled.
        texts = dict(zip_longest(self._columns, line.cells[:width], fillvalue=""))
        before = len(self.problems)
        entry = Entry(
            name=self._value(line, texts, "name", _plain) or "",
            ifood_merchant_id=self._value(line, texts, "ifood_merchant_id", merchant_id) or "",
            timezone=self._value(line, texts, "timezone", _timezone),
            priority=self._value(line, texts, "priority", _priority),
            active=self._value(line, texts, "active", _active),
            app=self._value(line, texts, "app", self._app),
            cnpj=self._value(line, texts, "cnpj", lambda text: cnpj(text) if text else None),
            group=self._value(line, texts, "group", _plain) or None,
        )
        first = self._line_of.setdefault(entry.ifood_merchant_id, line.where)
        if entry.ifood_merchant_id and first != line.where:
            self._refuse(line, f"the same merchant as in {first}", "ifood_merchant_id")
        if len(self.problems) == before:
            self.entries.append(entry)

    def _value(
        self, line: Line, texts: Mapping[str, str], column: str, read: Callable[[str], T]
    ) -> T | None:
        if column not in texts:
            return None
        text = texts[column]
        if what := line.refused.get(self._columns.index(column)):
            found = f"expected a text, not {what}, {quoted(text)}; format the column as text"
            self._refuse(line, found, column)
            return None
        try:
            if not text and column in NEEDED:
                raise ValueError("expected a value, found an empty cell")  # noqa: TRY301 - as `read`
            return read(text)
        except ValueError as error:
            expected, *looks_like = map(str, error.args)
            found = "".join(f"; {each}" for each in looks_like)
            not_ = f", not {quoted(text)}" if text else ""
            self._refuse(line, f"{expected}{not_}{found}", column)
            return None

    def _app(self, text: str) -> str | None:
        if text and text not in self._apps:
            known = ", ".join(sorted(self._apps)) or "none yet: see `ifood-actors apps add`"
            raise ValueError(f"expected the name of an application ({known})")
        return text or None

    def _refuse(self, line: Line, what: str, column: str | None = None) -> None:
        where = f"{line.where}, {column}" if column else line.where
        self.problems.append(f"{where}: {what}")


def _lines(content: bytes, name: str | None) -> Iterator[Line]:
    if content.startswith(WORKBOOKS):
        return workbook_lines(content, name)
    if name is not None:
        raise BadSheet([f"a CSV file has no sheets: it cannot be {quoted(name)}"])
    return csv_lines(content)


def _columns(header: Line) -> list[str]:
    texts = list(header.cells)
    while texts and not texts[-1]:
        texts.pop()
    names = [_column(text) for text in texts]
    problems = [_unknown(text) for text in texts if _column(text) not in COLUMNS]
    twice = {name for name in names if names.count(name) > 1}
    problems += [f"the column {name} stands there twice" for name in sorted(twice)]
    problems += [f"the column {name} is missing" for name in NEEDED if name not in names]
    if problems:
        raise BadSheet([f"{header.where}: {problem}" for problem in problems])
    return names


def _column(text: str) -> str:
    plain = unicodedata.normalize("NFD", text).encode("ascii", "ignore").decode().lower()
    joined = "_".join(re.findall(r"[a-z0-9]+", plain))
    return _ALSO_CALLED.get(joined, joined)


def _unknown(text: str) -> str:
    near = get_close_matches(_column(text), COLUMNS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"expected some of {', '.join(COLUMNS)}"
    return f"no such column: {quoted(text)}; {hint}"


def _total(line: Line) -> str | None:
    total = next(filter(_TOTALS.fullmatch, line.cells), None)
    return None if total and any(map(canonical_id, line.cells)) else total


def _plain(text: str) -> str:
    if not text.isprintable():
        raise ValueError("expected printable characters on one line")
    if len(text) > _LONGEST:
        raise ValueError(f"expected at most {_LONGEST} characters")
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


def _safe(text: str | None) -> str:
    # A name given by SQL may hold one; the writer would not quote it, and it ends a row.
    return guarded((text or "").replace("\r", " "))
