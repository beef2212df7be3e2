"""
The lines of a CSV file as spreadsheets, programs and people write it. Pure.

UTF-8 with or without byte order mark, or UTF-16 with one, as of Excel's "Unicode text". Cells are
separated by `;`, `,` or tabs, whichever the header has most of, or by what `sep=` names.
"""

import codecs
import csv
import re
from collections.abc import Iterator
from io import StringIO

from ifood_actors.accounts.guard import unguarded
from ifood_actors.accounts.lines import BadSheet, Line, tidy
from ifood_actors.plain_text import quoted

_SEPARATOR = re.compile(r'\s*"?sep=([^\w\s"]|\t)"?[;, \t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


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
