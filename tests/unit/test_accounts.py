import csv
import unicodedata
from io import StringIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.rows import M, N

from ifood_actors.accounts import BadSheet
from ifood_actors.accounts.sheet import Entry, fitting_name, read_sheet, write_sheet

APPS = ("north", "south")
STARTS = "=+-@\t\n\uff1d\uff0b\uff0d\uff20"  # of what a spreadsheet takes for a formula

printable = st.characters(exclude_categories=("C", "Z"), exclude_characters="\0")
words = st.text(printable, min_size=1, max_size=20).map(
    lambda text: unicodedata.normalize("NFC", text)
)


def read(text: str | bytes) -> list[Entry]:
    content = text if isinstance(text, bytes) else text.encode()
    return list(read_sheet(content, apps=APPS).entries)


def problems_of(text: str | bytes) -> list[str]:
    with pytest.raises(BadSheet) as caught:
        read(text)
    return list(caught.value.problems)


HEADER = "name;ifood_merchant_id;timezone;priority;active"


@pytest.mark.parametrize(
    "text",
    [
        f"name,ifood_merchant_id\nA,{M}\n",
        f"name;ifood_merchant_id\nA;{M}\n",
        f"name\tifood_merchant_id\nA\t{M}\n",
        f"ifood_merchant_id,name\n{M},A\n",
        f"NAME, iFood Merchant-ID \n A ,{M}\n",
        f'name,ifood_merchant_id\n"A","{M}"\n',
        f'name;ifood_merchant_id\nA;="{M}"\n',
        f"name,ifood_merchant_id\n\nA,{M}\n,\n\n",
        f"name,ifood_merchant_id,,\nA,{M},,\n",
        f"sep=;\nname;ifood_merchant_id\nA;{M}\n",
        f"sep=|\r\nname|ifood_merchant_id\r\nA|{M}\r\n",
        f"SEP=\t\nname\tifood_merchant_id\nA\t{M}\n",
        f'"sep=,"\nname,ifood_merchant_id\nA,{M}\n',
        f"Nome;Merchant ID\nA;{M}\n",
        f"na\u00a0me\u00a0;ifood_merchant_id\nA;{M}\n".replace("na\u00a0me", "name"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_what_spreadsheets_write_is_read(text, encoding, line_end):
    assert read(text.replace("\r\n", "\n").replace("\n", line_end).encode(encoding)) == [
        Entry("A", M)
    ]


@pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be"])
def test_both_orders_of_utf_16_are_read(mark):
    text = f"\ufeffname\tifood_merchant_id\nAçaí\t{M}\n"

    assert read(text.encode(mark)) == [Entry("Açaí", M)]


def test_a_row_ends_where_its_last_cell_is_filled():
    full = read(f"{HEADER}\nA;{M};;;\nB;{N};;5;\n")

    assert read(f"{HEADER}\nA;{M}\nB;{N};;5\n") == full


def test_an_accent_in_two_pieces_is_one_letter():
    text = f"Nome;ifood_merchant_id;Fuso horário;Grupo\nAçaí do Zé;{M};America/Manaus;Rede Pão\n"

    decomposed = unicodedata.normalize("NFD", text)
    assert decomposed != text
    assert read(decomposed) == read(text)
    assert read(text)[0].group == "Rede Pão"


def test_a_cell_may_hold_the_delimiter_and_quotes():
    [entry] = read(f'name;ifood_merchant_id\n"Bar ""O Gordo""; Marmitas, e mais";{M}\n')

    assert entry.name == 'Bar "O Gordo"; Marmitas, e mais'


def test_what_was_copied_from_a_page_is_read_with_plain_spaces():
    [entry] = read(f"name,ifood_merchant_id\n\u00a0Pizzaria\u00a0do Zé\u00a0,{M}\u00a0\n")

    assert entry == Entry("Pizzaria do Zé", M)
    assert "found an empty cell" in problems_of(f"name,ifood_merchant_id\n\u00a0,{M}\n")[0]


def test_a_column_that_is_absent_says_nothing_and_an_empty_cell_means_the_default():
    absent = read(f"name,ifood_merchant_id\nA,{M}\n")
    empty = read(f"name,ifood_merchant_id,timezone,priority,active,app\nA,{M},,,,\n")

    assert absent == [Entry("A", M, timezone=None, priority=None, active=None, app=None)]
    assert empty == [Entry("A", M, "America/Sao_Paulo", 0, active=True, app=None)]


@pytest.mark.parametrize(
    ("word", "active"),
    [("true", True), ("VERDADEIRO", True), ("1", True), ("Não", False), ("FALSO", False)],
)
def test_active_is_what_a_spreadsheet_says(word, active):
    assert read(f"name,ifood_merchant_id,active\nA,{M},{word}\n")[0].active is active


def test_one_merchant_is_one_account_however_its_id_is_written():
    text = f"name,ifood_merchant_id\nA,{M}\nB,{{{M.upper()}}}\n"

    assert problems_of(text) == ["line 3, ifood_merchant_id: the same merchant as in line 2"]


def test_a_cnpj_and_a_group_are_read():
    text = f"name;ifood_merchant_id;CNPJ;Grupo\nA;{M};14.380.200/0001-21;Rede Sul\nB;{N};;\n"

    first, second = read(text)

    assert (first.cnpj, first.group) == ("14380200000121", "Rede Sul")
    assert (second.cnpj, second.group) == (None, None)


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (f",{M},,,,", "name: expected a value, found an empty cell"),
        ("A,,,,,", "ifood_merchant_id: expected a value, found an empty cell"),
        ("A,4078865,,,,", "not '4078865'; this looks like the short number that iFood's portal"),
        ('A,"1,12223E+13",,,,', "not '1,12223E+13'; a spreadsheet has rounded this number"),
        ("A,14380200000121,,,,", "not '14380200000121'; this looks like a CNPJ"),
        ("A,m\x1b[2Jn,,,,", "ifood_merchant_id: expected a merchant id such as"),
        (f"A\x1b[2J,{M},,,,", "name: expected printable characters on one line, not 'A\\x1b[2J'"),
        (f'"A\nB",{M},,,,', "name: expected printable characters on one line, not 'A\\nB'"),
        (f"A,{M},Mars/Phobos,,,", "a time zone such as America/Sao_Paulo, not 'Mars/Phobos'"),
        (f"A,{M},../../etc/passwd,,,", "timezone: expected a time zone such as America/Sao_Paulo"),
        (f"A,{M},,high,,", "priority: expected a whole number of at most 1,000,000, not 'high'"),
        (f"A,{M},,1.5,,", "priority: expected a whole number"),
        (f"A,{M},,9999999,,", "priority: expected a whole number"),
        (f"A,{M},,,maybe,", "active: expected true or false, not 'maybe'"),
        (f"A,{M},,,,west", "app: expected the name of an application (north, south), not 'west'"),
        (f"A,{M},,,,,north", "found 'north' beyond the 6 columns of the header"),
        ("Total,1000", "found 'Total' and no merchant id: leave out totals"),
        (",TOTAL GERAL:,,2,,", "found 'TOTAL GERAL:' and no merchant id: leave out totals"),
    ],
)
def test_a_bad_cell_is_named_with_its_line_and_what_was_expected(cells, problem):
    [found] = problems_of(f"name,ifood_merchant_id,timezone,priority,active,app\n{cells}\n")

    assert found.startswith("line 2")
    assert problem in found


def test_a_wrong_cnpj_is_named():
    [found] = problems_of(f"name;ifood_merchant_id;cnpj\nA;{M};14380200000122\n")

    assert found.startswith("line 2, cnpj: expected a CNPJ, not '14380200000122'; its check digits")


def test_a_restaurant_may_be_called_total():
    assert read(f"name,ifood_merchant_id\nTotal,{M}\n") == [Entry("Total", M)]


def test_of_thousands_of_bad_lines_the_first_are_told_and_the_others_counted():
    problems = problems_of("name,ifood_merchant_id\n" + "A,4078865\n" * 3_000)

    assert len(problems) == 101
    assert problems[99].startswith("line 101, ")
    assert problems[100] == "and 2,900 more"


def test_what_was_found_is_quoted_in_part_when_it_is_long():
    [found] = problems_of("name,ifood_merchant_id\nA," + "x" * 10_000 + "\n")

    assert len(found) < 200


def test_all_problems_are_told_at_once_in_the_order_of_the_file():
    text = f"name,ifood_merchant_id,priority\n,{M},x\nB,{N},1\n\nC,,2\n"

    assert [problem.split(":")[0] for problem in problems_of(text)] == [
        "line 2, name",
        "line 2, priority",
        "line 5, ifood_merchant_id",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b"name\nA\n", "line 1: the column ifood_merchant_id is missing"),
        (b"sep=;\nname\nA\n", "line 2: the column ifood_merchant_id is missing"),
        (
            b"name,ifood_merchant_id,prioriti\n",
            "no such column: 'prioriti'; did you mean priority?",
        ),
        (b"name,,ifood_merchant_id\n", "no such column: ''; expected some of"),
        ("name,ifood_merchant_id,店\n".encode(), "no such column: '店'; expected some of"),
        (b"name,ifood_merchant_id,name\n", "the column name stands there twice"),
        (b"name,ifood_merchant_id,nome\n", "the column name stands there twice"),
        (
            b"name,ifood_merchant_id\nA,m\nS\xe3o Jo\xe3o,n\n",
            "line 3: expected UTF-8; in Windows-1252 the line would read 'São João,n': in Excel,",
        ),
        (b"name,ifood_merchant_id\nA\x81\xe3,m\n", "line 2: expected UTF-8: in Excel, save as"),
        ("name,ifood_merchant_id\nA,m\n".encode("utf-16-le"), "these bytes are no text"),
        (b"\xff\xfen\x00a", "expected UTF-8"),
        (b'name,ifood_merchant_id\n"A,m\n', "line 2: not CSV"),
        (b'sep=,\nname,ifood_merchant_id\n"A,m\n', "line 3: not CSV"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(text, problem):
    assert problem in "\n".join(problems_of(text))


@pytest.mark.parametrize("start", [*STARTS, "'=", "''+"])
def test_an_export_holds_no_formula(start):
    formula = f"{start}1+1"
    entry = Entry(formula, formula, "America/Manaus", -5, active=True, app=formula, group=formula)
    out = StringIO()
    write_sheet([entry], out)

    _, cells = csv.reader(StringIO(out.getvalue()))
    assert cells[:3] == [f"'{formula}"] * 2 + ["America/Manaus"]
    assert cells[3:] == ["-5", "true", f"'{formula}", "", f"'{formula}"]


def test_an_exported_cnpj_is_no_number_to_a_spreadsheet():
    out = StringIO()
    write_sheet([Entry("A", M, cnpj="00000000000191")], out)

    assert "00.000.000/0001-91" in out.getvalue()


def test_no_name_ends_a_row_of_an_export():
    name = "a\r=1+1\n=1+1,=1+1"
    out = StringIO()
    write_sheet([Entry(name, M)], out)

    _, cells = csv.reader(StringIO(out.getvalue(), newline=""))
    assert cells[:2] == ["a =1+1\n'=1+1,'=1+1", M]


@given(
    name=words,
    merchant_id=st.uuids().map(str),
    priority=st.integers(-1_000_000, 1_000_000),
    active=st.booleans(),
    app=st.sampled_from([*APPS, None]),
    cnpj=st.sampled_from(["00000000000191", "12ABC34501DE35", None]),
    group=st.none() | words,
)
def test_an_export_imports_again_unchanged(name, merchant_id, priority, active, app, cnpj, group):
    entry = Entry(
        name,
        merchant_id,
        "America/Sao_Paulo",
        priority,
        active=active,
        app=app,
        cnpj=cnpj,
        group=group,
    )
    out = StringIO()
    write_sheet([entry], out)

    [again] = read(out.getvalue())
    assert again == entry


@given(st.text(min_size=1, max_size=300))
@example("x" * 199 + " y")
@example(f"\u00a0{'=' * 250}\n")
def test_a_name_that_was_made_fitting_imports_again_unchanged(text):
    entry = Entry(fitting_name(text) or "m", M, "America/Sao_Paulo", 0, active=True)
    out = StringIO()
    write_sheet([entry], out)

    assert read(out.getvalue()) == [entry]
    assert fitting_name(entry.name) == entry.name
