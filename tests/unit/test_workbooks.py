from datetime import date, datetime, time
from io import BytesIO

import pytest
from openpyxl import Workbook
from openpyxl.worksheet.worksheet import Worksheet
from support.rows import M, N, P
from xlsxwriter import Workbook as Writer

from ifood_actors.accounts import BadSheet
from ifood_actors.accounts.sheet import Entry, read_sheet

HEADER = ("Nome", "ifood_merchant_id", "prioridade", "ativo", "CNPJ", "Grupo")


def workbook(*rows, title="Lojas", hidden=(), others=()):
    """Give the bytes of a workbook: sheets that are hidden, one with `rows`, then empty others."""
    book = Workbook()
    sheet = book.active
    assert isinstance(sheet, Worksheet)
    sheet.title = title
    for row in rows:
        sheet.append(row)
    for place, name in enumerate(hidden):
        book.create_sheet(name, place).sheet_state = "hidden"
    for name in others:
        book.create_sheet(name)
    book.active = len(hidden)
    return saved(book)


def saved(book):
    file = BytesIO()
    book.save(file)
    return file.getvalue()


def read(content, name=None):
    return list(read_sheet(content, apps=(), name=name).entries)


def problems_of(content, name=None):
    with pytest.raises(BadSheet) as caught:
        read(content, name)
    return list(caught.value.problems)


def test_a_workbook_is_read_like_the_csv_file_that_it_could_be():
    rows = [
        ("Açaí do Zé", M.upper(), 5, True, "14.380.200/0001-21", "Rede Sul"),
        ("Bar; e mais", f"{{{N}}}", None, "não", 14380200000121.0, None),
        (1900, P, "7", False, None, None),
    ]
    as_csv = (
        "Nome;ifood_merchant_id;prioridade;ativo;CNPJ;Grupo\n"
        f"Açaí do Zé;{M.upper()};5;sim;14.380.200/0001-21;Rede Sul\n"
        f'"Bar; e mais";{{{N}}};;não;14380200000121\n'
        f"1900;{P};7;falso\n"
    )

    assert read(workbook(HEADER, *rows)) == read(as_csv.encode())
    assert read(workbook(HEADER, *rows))[2] == Entry(
        "1900", P, priority=7, active=False, cnpj=None, group=None
    )


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (4078865, "not '4078865'; this looks like the short number"),
        (1.12223e13, "not '11222300000000'; this looks like a CNPJ"),
        (1.12223e20, "not '1.12223e+20'; a spreadsheet has rounded this number"),
        (0.5, "not '0.5'; this looks like a number"),
        (datetime(2026, 3, 1), "expected a text, not a date or a time"),  # noqa: DTZ001 - a cell
        (date(2026, 3, 1), "format the column as text"),
        (time(8, 30), "expected a text, not a date or a time, '08:30:00'"),
        (True, "not 'true'"),
        (None, "found an empty cell"),
    ],
)
def test_a_cell_that_is_no_merchant_id_is_named_with_its_row(cell, problem):
    [found] = problems_of(workbook(HEADER, ("A", M), (), ("B", cell)))

    assert found.startswith("row 4, ifood_merchant_id: ")
    assert problem in found


def test_a_name_that_excel_took_for_a_date_is_refused():
    [found] = problems_of(workbook(HEADER, (date(2026, 12, 25), M)))

    assert found.startswith("row 2, name: expected a text, not a date or a time, '2026-12-25'")


def test_a_row_has_the_number_that_excel_shows():
    content = workbook((), (), HEADER, (), ("A", "x"))

    assert problems_of(content)[0].startswith("row 5, ifood_merchant_id")


def test_the_first_sheet_that_is_not_hidden_is_read_or_the_one_that_is_named():
    content = workbook(HEADER, ("A", M), hidden=["Listas"], others=["Notas"])

    assert read(content) == read(content, "Lojas")
    assert problems_of(content, "Notas") == [
        "the file is empty: expected a header with name, ifood_merchant_id"
    ]
    assert problems_of(content, "lojas") == [
        "no such sheet: 'lojas'; there are 'Listas', 'Lojas', 'Notas'"
    ]


def test_a_formula_counts_as_its_result_and_hidden_rows_are_read():
    file = BytesIO()
    with Writer(file, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, HEADER)
        sheet.write_formula(1, 0, '="Loja "&1', None, "Loja 1")
        sheet.write_formula(1, 1, "=X1", None, M)
        sheet.write_formula(1, 2, "=2+3", None, 5)
        sheet.write_formula(1, 3, "=1=2", None, "FALSE")
        sheet.set_row(1, None, None, {"hidden": True})
        sheet.write_formula(2, 0, "=1/0", None, "#DIV/0!")
        sheet.write_string(2, 1, N)

    assert problems_of(file.getvalue()) == ["row 3, name: expected a value, found an empty cell"]


def test_spaces_accents_and_guards_are_those_of_csv():
    content = workbook(
        HEADER, ("'=Mais\u00a0Sabor", f"\u00a0{M}\u200b", None, None, None, "Pa\u0303o")
    )

    [entry] = read(content)
    assert (entry.name, entry.ifood_merchant_id, entry.group) == ("=Mais Sabor", M, "P\u00e3o")


def test_a_workbook_without_a_sheet_to_read_is_refused():
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    book.create_chartsheet("Gráfico")
    sheet.sheet_state = "hidden"

    assert problems_of(saved(book)) == ["the workbook has no sheet that is not hidden"]


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"])
def test_a_broken_workbook_is_named(start):
    [found] = problems_of(start + b"x" * 600)

    assert found.startswith("the workbook cannot be read: ")
    assert found.endswith("save it again as .xlsx")


def test_a_csv_file_has_no_sheets():
    text = f"name,ifood_merchant_id\nA,{M}\n".encode()

    assert problems_of(text, "Lojas") == ["a CSV file has no sheets: it cannot be 'Lojas'"]
