"""
Masking secrets in foreign text, however a server spells them.

A server that complains about a request may repeat it URL-encoded, form-encoded, escaped for JSON or
HTML, in quotes, one of these within another, or cut short.
"""

import re
from collections.abc import Iterable, Sequence
from html import unescape

from ifood_actors.config.masking import MASK

# A piece of a secret so long is masked wherever it stands. Shorter ones are words by chance.
_PIECE = 8
# Spellings within one another that are undone, such as JSON in a URL in a log of a proxy.
_DEEPEST = 3
_ESCAPES = re.compile(
    r"""
    (?P<url>(?:%[0-9a-f]{2})+)
    | (?P<utf16>(?:\\u[0-9a-f]{4})+)
    | \\x(?P<hex>[0-9a-f]{2})
    | \\(?P<char>[\\/"'])
    | (?P<html>&(?:\#[0-9]{1,7}|\#x[0-9a-f]{1,6}|[a-z]{2,8});)
    """,
    re.IGNORECASE | re.VERBOSE,
)
# In a form, a plus is a space: so they are one, on both sides.
_FORM = str.maketrans("+", " ")


def mask(text: str, secrets: Iterable[str]) -> str:
    """Replace in `text` every piece of a secret of eight characters or more by `***`."""
    pieces = [_pieces(secret.translate(_FORM)) for secret in secrets if secret]
    hidden = bytearray(len(text))
    shown, places = text, [(at, at + 1) for at in range(len(text))]
    for _ in range(_DEEPEST + 1):
        for start, end in _found(shown.translate(_FORM), pieces):
            first, last = places[start][0], places[end - 1][1]
            hidden[first:last] = b"\1" * (last - first)
        plain, spans = _undone(shown)
        if plain == shown:
            break
        shown = plain
        places = [(places[start][0], places[end - 1][1]) for start, end in spans]
    return "".join(_masked(text, hidden))


def _pieces(secret: str) -> tuple[int, frozenset[str]]:
    length = min(_PIECE, len(secret))
    return length, frozenset(secret[at : at + length] for at in range(len(secret) - length + 1))


def _found(text: str, pieces: Sequence[tuple[int, frozenset[str]]]) -> Iterable[tuple[int, int]]:
    for length, known in pieces:
        for at in range(len(text) - length + 1):
            if text[at : at + length] in known:
                yield at, at + length


def _undone(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Undo one layer of escapes; give the text, and where each of its characters stood."""
    plain: list[str] = []
    spans: list[tuple[int, int]] = []
    at = 0
    for escape in _ESCAPES.finditer(text):
        plain.append(text[at : escape.start()])
        spans += [(place, place + 1) for place in range(at, escape.start())]
        meant = _meant(escape)
        plain.append(meant)
        spans += [escape.span()] * len(meant)
        at = escape.end()
    plain.append(text[at:])
    spans += [(place, place + 1) for place in range(at, len(text))]
    return "".join(plain), spans


def _meant(escape: re.Match[str]) -> str:
    text = escape[0]
    match escape.lastgroup:
        case "url":
            return bytes.fromhex(text.replace("%", "")).decode(errors="replace")
        case "utf16":
            return bytes.fromhex(re.sub(r"\\u", "", text, flags=re.IGNORECASE)).decode(
                "utf-16-be", errors="replace"
            )
        case "hex":
            return chr(int(escape["hex"], 16))
        case "char":
            return escape["char"]
        case _:
            return unescape(text)


def _masked(text: str, hidden: bytearray) -> Iterable[str]:
    for at, char in enumerate(text):
        if not hidden[at]:
            yield char
        elif at == 0 or not hidden[at - 1]:
            yield MASK
