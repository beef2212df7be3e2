import csv
from io import StringIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ifood_actors.accounts.guard import guarded, unguarded

FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20"  # with the full-width forms
# What a spreadsheet may take off before it looks for a sign; str.strip knows the visible ones.
UNSEEN = "\u00a0\u200b\u2060\u202a\u3000\ufeff\x1f"
texts = st.text(st.sampled_from(f"{FORMULA}{UNSEEN}\t\r\n\"',; aé1"), max_size=12)


@given(texts)
@example("';=1")
@example('x;""=1+1')
def test_a_guard_comes_off_again_and_nothing_else_does(text):
    assert unguarded(guarded(text)) == text


@given(texts, st.sampled_from(",;\t"), st.sampled_from(",;\t"))
def test_no_cell_is_a_formula_by_whatever_a_file_is_split(text, written, split):
    out = StringIO()
    csv.writer(out, delimiter=written, lineterminator="\n").writerow(["a", guarded(text), "b"])

    lines = out.getvalue().splitlines()
    cells = [cell for line in lines for cell in line.split(split)]
    assert not [cell for cell in cells if cell.strip(f'" {UNSEEN}').startswith(tuple(FORMULA))]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("Bar do Zé", "Bar do Zé"),
        ("X-Burger + fritas", "X-Burger + fritas"),
        ("Pizza, 10%", "Pizza, 10%"),
        ("Pizza, -10%", "Pizza,' -10%"),
        ("Pizza;=cmd|' /C calc'!A0", "Pizza;'=cmd|' /C calc'!A0"),
        ("Pizza; \u00a0=1", "Pizza;' \u00a0=1"),
        (" =1", "' =1"),
        ("\ufeff=1", "'\ufeff=1"),
        ("\u200b\u2060@x", "'\u200b\u2060@x"),
        ("=1+1", "'=1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\n=1", "'\n'=1"),
        ("'=1", "''=1"),
        ('"=1', "'\"=1"),
        (";=1", ";'=1"),
        ("x;=1,@a", "x;'=1,'@a"),
    ],
)
def test_only_what_could_begin_a_formula_is_guarded(text, safe):
    assert guarded(text) == safe
