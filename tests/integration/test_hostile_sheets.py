"""Workbooks that would fill the memory: given up in a process of their own."""

import resource
import zipfile
from io import BytesIO

import pytest
from openpyxl import Workbook

from ifood_actors.accounts.lines import BadSheet
from ifood_actors.accounts.sandbox import LARGEST, read_bounded

MERCHANT = "0a1b2c3d-0000-4000-8000-000000000001"
HEADER = ["name", "ifood_merchant_id"]


def workbook(*rows: list[str], last: str | None = None) -> bytes:
    book = Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(row)
    if last:
        sheet[last] = "x"
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def inflated(content: bytes) -> bytes:
    """Put 1.2 gigabytes of text into the first sheet; the file stays at some megabytes."""
    out = BytesIO()
    with (
        zipfile.ZipFile(BytesIO(content)) as book,
        zipfile.ZipFile(out, "w", 8, compresslevel=1) as bomb,
    ):
        for name in book.namelist():
            if not name.startswith("xl/worksheets/sheet"):
                bomb.writestr(name, book.read(name))
                continue
            head, tail = book.read(name).split(b"</sheetData>")
            with bomb.open(name, "w", force_zip64=True) as sheet:
                sheet.write(head + b'<row r="9"><c r="A9" t="inlineStr"><is><t>')
                for _ in range(1_200):
                    sheet.write(b"x" * 1_000_000)
                sheet.write(b"</t></is></c></row></sheetData>" + tail)
    return out.getvalue()


def test_a_usual_workbook_is_read_as_ever():
    sheet = read_bounded(workbook(HEADER, ["Bar", MERCHANT]), apps=(), name=None)

    assert [entry.ifood_merchant_id for entry in sheet.entries] == [MERCHANT]


def test_what_is_wrong_comes_back_line_by_line():
    with pytest.raises(BadSheet) as raised:
        read_bounded(workbook(HEADER, ["Bar", "1"], ["", MERCHANT]), apps=(), name=None)

    assert len(raised.value.problems) == 2


@pytest.mark.parametrize("bomb", ["the last cell of all", "gigabytes of text"])
def test_a_workbook_that_would_fill_the_memory_is_given_up(bomb):
    content = workbook(HEADER, ["Bar", MERCHANT], last="XFD1048576" if "cell" in bomb else None)
    if "text" in bomb:
        content = inflated(content)
    assert len(content) < LARGEST

    with pytest.raises(BadSheet, match="more than 1 GiB of memory"):
        read_bounded(content, apps=(), name=None)

    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert used < 2 * 1024**2  # KiB


def test_a_file_beyond_the_limit_is_not_read():
    with pytest.raises(BadSheet, match="larger than"):
        read_bounded(b"x" * (LARGEST + 1), apps=(), name=None)
