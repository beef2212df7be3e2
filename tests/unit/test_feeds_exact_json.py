"""Items as text: every digit, nothing that Postgres refuses, equal text for equal items."""

from datetime import date
from decimal import Decimal

import pytest
import simplejson
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.errors import SchemaBroken
from ifood_actors.feeds.exact_json import canonical, storable_json

ITEMS = st.dictionaries(
    st.text(), st.text() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False)
)


def test_every_digit_is_kept():
    assert storable_json({"a": Decimal("62.90"), "b": 0}) == '{"a":62.90,"b":0}'


def test_days_are_iso_text():
    assert storable_json([date(2026, 9, 14)]) == '["2026-09-14"]'


def test_nul_and_lone_surrogates_are_replaced_in_names_and_values():
    assert storable_json({"a\0": ["\ud800", "é"]}) == '{"a\ufffd":["\ufffd","é"]}'


@given(st.lists(st.lists(st.sampled_from(["\0", "\\", "u0000", '"', "\ud800"])).map("".join)))
def test_replacing_changes_nothing_else(texts):
    replaced = [text.replace("\0", "\ufffd").replace("\ud800", "\ufffd") for text in texts]

    assert simplejson.loads(storable_json(texts)) == replaced


def test_nul_is_replaced_however_deep_it_lies():
    nested: object = "\0"
    for _ in range(600):
        nested = [nested]

    assert "\ufffd" in storable_json(nested)


@pytest.mark.parametrize("number", ["NaN", "-Infinity"])
def test_what_is_no_number_breaks_the_schema(number):
    with pytest.raises(SchemaBroken):
        storable_json({"odd": Decimal(number)})


@given(ITEMS)
def test_equal_items_are_equal_text(item):
    assert canonical(item) == canonical(dict(reversed(item.items())))


@pytest.mark.parametrize("write", [canonical, storable_json])
def test_endless_nesting_breaks_the_schema(write):
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]

    with pytest.raises(SchemaBroken, match="nested"):
        write(nested)
