"""What is printed: exact for a program, harmless on a terminal, short for a person."""

import json
from contextlib import redirect_stdout
from io import BytesIO, TextIOWrapper
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.cli.output import document, show


def printed(value: object, *, encoding: str) -> str:
    screen = TextIOWrapper(BytesIO(), encoding=encoding)
    with redirect_stdout(screen):
        document(value)
    screen.seek(0)
    return screen.read()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@given(text=st.text())
def test_a_document_holds_what_it_was_given_and_nothing_that_acts_on_a_terminal(encoding, text):
    shown = printed({"text": text}, encoding=encoding)

    assert json.loads(shown) == {"text": text}
    assert all(line.isprintable() for line in shown.split("\n"))


def test_letters_of_any_script_are_shown_as_they_are():
    assert "Açaí 日本" in printed({"text": "Açaí 日本"}, encoding="utf-8")


@pytest.mark.parametrize("nothing", [None, {}, []])
def test_a_cell_without_a_value_is_a_dash(nothing):
    assert show(nothing, zone=ZoneInfo("UTC")) == "-"
