"""No spelling of a secret gets past the mask."""

import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.ifood.http import transport
from ifood_actors.ifood.http.transport import Answer
from ifood_actors.masking import mask

Spelling = Callable[[str], str]


def quoted_in_lower_case(secret: str) -> str:
    return "".join(f"%{byte:02x}" for byte in secret.encode())


SPELLINGS: dict[str, Spelling] = {
    "as it is": str,
    "in a URL": lambda secret: quote(secret, safe=""),
    "in a path": quote,
    "each byte in lower case": quoted_in_lower_case,
    "in a form": quote_plus,
    "as a field of a form": lambda secret: urlencode({"refreshToken": secret}),
    "in JSON": json.dumps,
    "in JSON, as UTF-8": lambda secret: json.dumps(secret, ensure_ascii=False),
    "in HTML": html.escape,
    "as numbers in HTML": lambda secret: "".join(f"&#{ord(char)};" for char in secret),
    "in a program's quotes": repr,
    "in quotes": lambda secret: f"'{secret}'",
}
# Lone surrogates cannot be encoded, and what is not printable is no part of any token.
LETTERS = st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=" +")
SECRETS = st.one_of(
    st.text(LETTERS, min_size=8, max_size=60),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=200),
)
SPELLED = st.sampled_from(sorted(SPELLINGS))


def pieces(secret: str) -> set[str]:
    return {secret[at : at + 8] for at in range(len(secret) - 7)}


@given(secret=SECRETS, spelling=SPELLED, wrapping=st.one_of(st.none(), SPELLED))
def test_no_piece_of_a_secret_is_shown_however_it_is_spelled(secret, spelling, wrapping):
    spelled = SPELLINGS[spelling](secret)
    if wrapping is not None:
        spelled = SPELLINGS[wrapping](spelled)

    shown = mask(f"is void: {spelled}", [secret])

    assert "***" in shown
    for plain in (shown, unquote_plus(shown), html.unescape(shown), unquote(html.unescape(shown))):
        assert not pieces(secret) & pieces(plain)


@given(secret=SECRETS, spelling=SPELLED)
def test_nothing_but_quotes_and_names_is_left_of_a_secret(secret, spelling):
    shown = mask(SPELLINGS[spelling](secret), [secret])

    assert shown.strip("\"'").removeprefix("refreshToken=") == "***"


@given(secret=SECRETS, cut=st.integers(8, 60))
def test_a_secret_that_was_cut_is_masked_as_far_as_it_goes(secret, cut):
    assert mask(secret[:cut], [secret]) == "***"


@given(text=st.text(max_size=200), secrets=st.lists(SECRETS, max_size=3))
def test_what_was_masked_has_no_piece_of_a_secret_left(text, secrets):
    shown = mask("".join([text, *secrets]), secrets)

    for secret in secrets:
        assert not pieces(secret) & pieces(shown)


@pytest.mark.parametrize(
    "text", ["401 Bad credentials", "100 % of it", r"C:\users\x", "&amp;", "\\u12", "%", "a+b"]
)
def test_other_text_stays_as_it_is(text):
    assert mask(text, ["s3cr3t-of-the-app", ""]) == text


def test_of_megabytes_no_more_is_looked_at_than_what_may_be_shown(monkeypatch):
    looked_at = []

    def look(text: str, _: object) -> str:
        looked_at.append(len(text))
        return text

    monkeypatch.setattr(transport, "mask", look)

    assert Answer(401, httpx.Headers(), b"").clean("void " * 3_000_000).startswith("void void")
    assert looked_at == [4_000]


def test_a_token_that_is_cut_by_the_end_of_the_text_is_masked():
    token = "".join(f"{number:04x}" for number in range(4_000))
    answer = Answer(401, httpx.Headers(), b"", (token,))

    assert answer.clean(f"the token {quote(token)} is void") == "the token ***"
