import csv
from io import StringIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ifood_actors.accounts import BadSheet, Entry, read_sheet, write_sheet
from ifood_actors.accounts.sheet import fitting_name

ID = "0b9a3c5e-6f0e-4a4e-9f8e-3f1d2c3b4a59"
APPS = ("north", "south")

printable = st.characters(exclude_categories=("C", "Z"), exclude_characters="\0")
words = st.text(printable, min_size=1, max_size=20)


def read(text: str | bytes) -> list[Entry]:
    content = text if isinstance(text, bytes) else text.encode()
    return list(read_sheet(content, apps=APPS).entries)


def problems_of(text: str | bytes) -> list[str]:
    with pytest.raises(BadSheet) as caught:
        read(text)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    "text",
    [
        "name,ifood_merchant_id\nA,m\n",
        "name;ifood_merchant_id\nA;m\n",
        "ifood_merchant_id,name\nm,A\n",
        "NAME, ifood_merchant_id \n A ,m\n",
        'name,ifood_merchant_id\n"A","m"\n',
        "\ufeffname,ifood_merchant_id\r\nA,m\r\n",
        "name,ifood_merchant_id\n\nA,m\n,\n\n",
        "name,ifood_merchant_id,,\nA,m,,\n",
    ],
)
def test_what_spreadsheets_write_is_read(text):
    assert read(text) == [Entry("A", "m")]


def test_a_cell_may_hold_the_delimiter_and_quotes():
    [entry] = read('name;ifood_merchant_id\n"Bar ""O Gordo""; Marmitas, e mais";m\n')

    assert entry.name == 'Bar "O Gordo"; Marmitas, e mais'


def test_what_was_copied_from_a_page_is_read_with_plain_spaces():
    [entry] = read("name,ifood_merchant_id\n\u00a0Pizzaria\u00a0do Zé\u00a0,m\u00a0\n")

    assert entry == Entry("Pizzaria do Zé", "m")
    assert "found an empty cell" in problems_of("name,ifood_merchant_id\n\u00a0,m\n")[0]


def test_a_column_that_is_absent_says_nothing_and_an_empty_cell_means_the_default():
    absent = read("name,ifood_merchant_id\nA,m\n")
    empty = read("name,ifood_merchant_id,timezone,priority,active,app\nA,m,,,,\n")

    assert absent == [Entry("A", "m", timezone=None, priority=None, active=None, app=None)]
    assert empty == [Entry("A", "m", "America/Sao_Paulo", 0, active=True, app=None)]


@pytest.mark.parametrize(
    ("word", "active"),
    [("true", True), ("VERDADEIRO", True), ("1", True), ("Não", False), ("FALSO", False)],
)
def test_active_is_what_a_spreadsheet_says(word, active):
    assert read(f"name,ifood_merchant_id,active\nA,m,{word}\n")[0].active is active


def test_one_merchant_is_one_account_however_its_id_is_written():
    text = f"name,ifood_merchant_id\nA,{ID}\nB,{ID.upper()}\n"

    assert problems_of(text) == ["line 3, ifood_merchant_id: the same merchant as in line 2"]


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (",m,,,,", "name: expected a value, found an empty cell"),
        ("A,,,,,", "ifood_merchant_id: expected a value, found an empty cell"),
        ("A,m n,,,,", "ifood_merchant_id: expected an id without spaces, not 'm n'"),
        ("A\x1b[2J,m,,,,", "name: expected printable characters on one line, not 'A\\x1b[2J'"),
        ('"A\nB",m,,,,', "name: expected printable characters on one line, not 'A\\nB'"),
        ("A,m,Mars/Phobos,,,", "expected a time zone such as America/Sao_Paulo, not 'Mars/Phobos'"),
        ("A,m,../../etc/passwd,,,", "timezone: expected a time zone such as America/Sao_Paulo"),
        ("A,m,,high,,", "priority: expected a whole number of at most 1,000,000, not 'high'"),
        ("A,m,,1.5,,", "priority: expected a whole number"),
        ("A,m,,9999999,,", "priority: expected a whole number"),
        ("A,m,,,maybe,", "active: expected true or false, not 'maybe'"),
        ("A,m,,,,west", "app: expected the name of an application (north, south), not 'west'"),
        ("A,m", "expected 6 cells, as in the header, not 2"),
        ("A,m,,,,,north", "expected 6 cells, as in the header, not 7"),
    ],
)
def test_a_bad_cell_is_named_with_its_line_and_what_was_expected(cells, problem):
    [found] = problems_of(f"name,ifood_merchant_id,timezone,priority,active,app\n{cells}\n")

    assert found.startswith("line 2")
    assert problem in found


def test_all_problems_are_told_at_once_in_the_order_of_the_file():
    text = "name,ifood_merchant_id,priority\n,m,x\nB,n,1\n\nC,,2\n"

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
        (b"name\nA\n", "the column ifood_merchant_id is missing"),
        (b"nome,ifood_merchant_id\n", "no such column: 'nome'; did you mean name?"),
        (b"name,ifood_merchant_id,name\n", "the column name stands there twice"),
        (b"name,ifood_merchant_id\nA,m\nS\xe3o,n\n", "line 3: expected UTF-8"),
        ("name,ifood_merchant_id\nA,m\n".encode("utf-16"), "line 1: expected UTF-8"),
        (b'name,ifood_merchant_id\n"A,m\n', "line 2: not CSV"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(text, problem):
    assert problem in "\n".join(problems_of(text))


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "'=", "''+"])
def test_an_export_holds_no_formula(start):
    formula = f"{start}1+1"
    out = StringIO()
    write_sheet([Entry(formula, formula, "America/Manaus", -5, active=True, app=formula)], out)

    _, cells = csv.reader(StringIO(out.getvalue()))
    assert cells == [f"'{formula}"] * 2 + ["America/Manaus", "-5", "true", f"'{formula}"]


def test_no_name_ends_a_row_of_an_export():
    name = "a\r=1+1\n=1+1,=1+1"
    out = StringIO()
    write_sheet([Entry(name, ID)], out)

    _, cells = csv.reader(StringIO(out.getvalue(), newline=""))
    assert cells[:2] == ["a =1+1\n=1+1,=1+1", ID]


@given(
    name=words,
    merchant_id=words,
    priority=st.integers(-1_000_000, 1_000_000),
    active=st.booleans(),
    app=st.sampled_from([*APPS, None]),
)
def test_an_export_imports_again_unchanged(name, merchant_id, priority, active, app):
    entry = Entry(name, merchant_id, "America/Sao_Paulo", priority, active=active, app=app)
    out = StringIO()
    write_sheet([entry], out)

    [again] = read(out.getvalue())
    assert again == entry


@given(st.text(min_size=1, max_size=300))
@example("x" * 199 + " y")
@example(f"\u00a0{'=' * 250}\n")
def test_a_name_that_was_made_fitting_imports_again_unchanged(text):
    entry = Entry(fitting_name(text) or "m", "m", "America/Sao_Paulo", 0, active=True)
    out = StringIO()
    write_sheet([entry], out)

    assert read(out.getvalue()) == [entry]
    assert fitting_name(entry.name) == entry.name
