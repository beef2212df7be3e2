"""JSON as text, with every digit of its decimals, in the form that Postgres takes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import simplejson
from sqlalchemy.exc import DataError

from ifood_actors.errors import SchemaBroken

# Six times as fast as simplejson, for what nearly all items hold.
_USUAL = msgspec.json.Encoder(decimal_format="number", order="sorted")
# NUL, as `dumps` escapes it; behind an escaped backslash, `u0000` is ordinary text.
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_SURROGATE = re.compile("[\ud800-\udfff]")


def canonical(value: object) -> str:
    """Write a JSON value so that equal values give equal text. Raises SchemaBroken."""
    try:
        return simplejson.dumps(
            value,
            use_decimal=True,
            ensure_ascii=False,
            separators=(",", ":"),
            sort_keys=True,
            default=str,  # dates and instants, as ISO text
        )
    except (RecursionError, ValueError):
        raise SchemaBroken("an item is nested too deeply, or holds what is no number") from None


def storable_json(value: object) -> str:
    """Do as `storable_bytes`, for a parameter that is text."""
    return storable_bytes(value).decode()


def storable_bytes(value: object) -> bytes:
    """
    Write a JSON value as Postgres takes it for jsonb, the fields of its objects in order.

    NUL and lone surrogates, which JSON may hold and Postgres cannot, become U+FFFD. Raises
    SchemaBroken when it is nested too deeply or holds NaN or Infinity.
    """
    try:
        usual = _USUAL.encode(value)
    except (TypeError, ValueError, RecursionError):
        pass  # odd values, which the slower writer takes or refuses
    else:
        if rb"\u0000" not in usual:
            return usual
    written = canonical(value)
    if r"\u0000" in written:
        written = _NUL.sub("\\1\ufffd", written)
    return storable(written).encode()


def storable(text: str) -> str:
    """Replace the two things that JSON may hold and Postgres cannot: NUL and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return _SURROGATE.sub("\ufffd", text.replace("\0", "\ufffd"))


@contextmanager
def refusals(table: str) -> Iterator[None]:
    """Turn a value that Postgres refuses, such as a number beyond its range, into SchemaBroken."""
    try:
        yield
    except DataError as error:
        # The driver's text would repeat the value.
        code = getattr(error.orig, "sqlstate", None)
        raise SchemaBroken(f"{table}: Postgres refuses a value ({code})") from None
