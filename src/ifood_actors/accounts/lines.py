"""
The lines of a sheet, what is said when one is wrong, and how a CSV file is read into them. Pure.

CSV as spreadsheets, programs and people write it: UTF-8 with or without byte order mark, or UTF-16
with one, as of Excel's "Unicode text". Cells are separated by `;`, `,` or tabs, the one that
the header has most of, or by what `sep=` names.
"""

import codecs
import csv
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO

from ifood_actors.accounts.guard import unguarded
from ifood_actors.errors import UsageError
from ifood_actors.plain_text import quoted

_MOST_PROBLEMS = 100  # are told at once; who has more has one kind of them
# What a page or a word processor puts in place of a space.
_SPACES = re.compile("[\u00a0\u2007\u202f]")
_SEPARATOR = re.compile(r'\s*"?sep=([^\w\s"]|\t)"?[;, \t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Line:
    """
    The tidy cells of one line, and where a person finds it.

    `refused` are cells of a workbook that are no text, by their place, and what they are.
    """

    where: str
    cells: Sequence[str]
    refused: Mapping[int, str] = field(default_factory=dict)


class BadSheet(UsageError):
    """A file cannot be imported; `problems` has one line each, in the order of the file."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems[:_MOST_PROBLEMS])
        if (more := len(problems) - _MOST_PROBLEMS) > 0:
            self.problems.append(f"and {more:,} more")
        super().__init__("\n".join(self.problems))


def tidy(cell: str) -> str:
    """Return a text with plain spaces, none around it, and each accent in one piece (NFC)."""
    return unicodedata.normalize("NFC", _SPACES.sub(" ", cell)).strip(" ")


def csv_lines(content: bytes) -> Iterator[Line]:
    """Return the lines that are not empty, without guards; raises BadSheet for what is no CSV."""
    text = _decoded(content)
    named = _SEPARATOR.match(text)
    number = text.count("\n", 0, named.end()) + 1 if named else 1
    rest = StringIO(text[named.end() :] if named else text, newline="")
    before = number - 1
    rows = csv.reader(rest, delimiter=named[1] if named else _delimiter(text), strict=True)
    try:
        for row in rows:
            cells = [unguarded(tidy(cell)) for cell in row]
            if any(cells):
                yield Line(f"line {number}", cells)
            number = before + rows.line_num + 1
    except csv.Error as error:
        raise BadSheet([f"line {number}: not CSV: {error}"]) from None


def _decoded(content: bytes) -> str:
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadSheet([_no_text(content, error)]) from None
    if "\0" in text:
        raise BadSheet(["expected a CSV file in UTF-8, or .xlsx: these bytes are no text"])
    return text


def _no_text(content: bytes, error: UnicodeDecodeError) -> str:
    number = content.count(b"\n", 0, error.start) + 1
    line = content.split(b"\n")[number - 1] if error.encoding == "utf-8" else b""
    said = f"line {number}: expected UTF-8"
    try:
        # Not taken for it: as the code pages of DOS and of the Mac, which Excel writes as well,
        # the same bytes are other letters, and names would be wrong without a word.
        guess = quoted(line.decode("cp1252").strip())
    except UnicodeDecodeError:
        guess = ""
    hint = f"; in Windows-1252 the line would read {guess}" if guess else ""
    return f"{said}{hint}: in Excel, save as 'CSV UTF-8' or as .xlsx"


def _delimiter(text: str) -> str:
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=header.count)
