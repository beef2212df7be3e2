"""Which numbers and which depths any reader of a stored item can read."""

import json
import sys
from decimal import Decimal
from math import isfinite
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.errors import SchemaBroken
from ifood_actors.ifood.http.answers import parse
from ifood_actors.ifood.http.item_bounds import (
    DEEPEST,
    DIGITS,
    Unreadable,
    is_too_deep,
    refuse_unreadable,
)
from ifood_actors.ifood.http.transport import Answer

signs, points = st.sampled_from(["", "-"]), st.sampled_from(["", ".0", ".5", ".000", ".10"])
exponents = st.one_of(st.just(""), st.integers(-140_000, 140_000).map("e{}".format))
numbers = st.builds("{}{}{}{}".format, signs, st.integers(0, 10 ** (2 * DIGITS)), points, exponents)


def read(text: str) -> Any:
    return parse(Answer(200, httpx.Headers(), text.encode()))


def nested(levels: int) -> Any:
    item: Any = 1
    for _ in range(levels):
        item = [item]
    return item


@given(numbers)
def test_a_number_is_either_exact_and_short_or_the_text_that_it_was(spelling):
    number = read(spelling)

    if isinstance(number, Unreadable):
        assert number == spelling
    else:
        assert number == Decimal(spelling)
        assert len(f"{number:f}") <= 2 * DIGITS + 2
        assert isfinite(float(number))


@pytest.mark.parametrize(
    "spelling",
    [
        "1e131000",
        "-1e131000",
        "1e-131000",
        "1E+60",
        "1e-61",
        "0e131000",
        "0e-131000",
        "1e9999999999999999999",
        "-1e-9999999999999999999",
        "9" * 100_000,
        "-" + "9" * 61,
        "0." + "1" * 61,
        "1." + "0" * 100_000,
    ],
)
def test_a_number_beyond_the_bounds_is_no_number(spelling):
    number = read(f'{{"a": {spelling}}}')["a"]

    assert isinstance(number, Unreadable)
    with pytest.raises(SchemaBroken, match="more than 60 digits"):
        refuse_unreadable({"a": [{"b": number}]})


@pytest.mark.parametrize(
    "spelling",
    ["0", "-0", "1.10", "1e2", "62.905", "9" * 60, "1e59", "1e-60", "5.551115123125783e-17"],
)
def test_what_money_and_floats_are_written_as_is_within_the_bounds(spelling):
    number = read(spelling)

    refuse_unreadable([number])
    assert number == Decimal(spelling)


def test_an_item_within_the_depth_is_read_by_any_reader_and_a_deeper_one_refused():
    assert not is_too_deep(nested(DEEPEST))
    refuse_unreadable(nested(DEEPEST))
    assert is_too_deep(nested(DEEPEST + 1))
    with pytest.raises(SchemaBroken, match="100 levels"):
        refuse_unreadable(nested(DEEPEST + 1))


def test_the_depth_is_looked_at_without_recursion():
    assert is_too_deep(nested(10 * sys.getrecursionlimit()))


def test_the_shortest_numbers_fill_no_answer_of_16_mib_beyond_what_postgres_sends():
    """A gigabyte is the most that Postgres gives in one value."""
    longest = max(
        len(f"{number:f}") / (len(text) + 1)
        for text in (f"{digit}e{exponent}" for digit in (1, 12) for exponent in range(-99, 100))
        if not isinstance(number := read(text), Unreadable)
    )

    assert longest * 16 * 1024**2 < 256 * 1024**2
    assert json.loads(f"{Decimal('1e59'):f}") == 10**59
