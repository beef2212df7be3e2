"""
What every reader of a stored item can read: bounds for its numbers, and for its depth.

Postgres takes `1e131000` and writes it out, digit by digit: a row of such numbers is larger than
anything it can send, so neither `pg_dump` nor a view gets past it. Other programs read numbers of
that size as infinity, or not at all.
"""

from collections.abc import Collection, Iterator
from decimal import Decimal, InvalidOperation

from ifood_actors.errors import SchemaBroken

# Before the point, and after it. Amounts have twelve and two, the longest key of a tax document 44,
# the noise of a float 33: and 16 MiB of the shortest such numbers, written out, are 200 MB.
DIGITS = 60
# Of a list, and of all closings of a span: a page of sales has 100. A body of 16 MiB could hold
# millions of the smallest, and keep a processor busy for minutes.
MOST_ITEMS = 10_000
DEEPEST = 100  # lists and objects within one another; iFood's items have six
_LONGEST = 2 * DIGITS + 10  # characters, with sign, point and exponent


class Unreadable(str):
    """A number beyond the bounds, as it was spelt."""

    __slots__ = ()


def whole(spelling: str) -> int | Unreadable:
    """Read a number without point and exponent."""
    return int(spelling) if len(spelling.lstrip("-")) <= DIGITS else Unreadable(spelling)


def fraction(spelling: str) -> Decimal | Unreadable:
    """Read a number with a point or an exponent, as exactly as it came."""
    if len(spelling) <= DIGITS and "e" not in spelling and "E" not in spelling:
        return Decimal(spelling)  # nearly all: as many digits as characters, at most
    if len(spelling) > _LONGEST:
        return Unreadable(spelling)
    try:
        number = Decimal(spelling)
    except InvalidOperation:  # an exponent that not even Decimal can hold
        return Unreadable(spelling)
    _, digits, exponent = number.as_tuple()
    fits = isinstance(exponent, int) and -DIGITS <= exponent <= DIGITS - len(digits)
    return number if fits else Unreadable(spelling)


def refuse_unreadable(item: object) -> None:
    """Raise SchemaBroken for an item that holds a number beyond the bounds, or is too deep."""
    for depth, values in enumerate(_levels(item)):
        if depth > DEEPEST:
            raise SchemaBroken(f"an item is nested more than {DEEPEST} levels deep")
        if Unreadable in map(type, values):
            raise SchemaBroken(f"a number has more than {DIGITS} digits before or after its point")


def is_too_deep(item: object) -> bool:
    return any(depth > DEEPEST for depth, _ in enumerate(_levels(item)))


def _levels(item: object) -> Iterator[Collection[object]]:
    """Return the values of each level, the item itself first; never by recursion."""
    values: Collection[object] = [item]
    while values:
        yield values
        inner: list[object] = []
        for value in values:
            if type(value) is dict:  # faster than isinstance, for a hundred values an item
                inner += value.values()
            elif type(value) is list:
                inner += value
        values = inner
