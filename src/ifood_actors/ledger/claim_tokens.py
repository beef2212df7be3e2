"""
What a claim token tells: which claim it is, and which lifeline its holder had. Pure.

A token of version 4 is a random number and names no lifeline. In one of version 8, which RFC 9562
leaves to the application, the first 64 bits are the lifeline: the key of the advisory lock that
the holder's process keeps for as long as it lives. The other 62 are random. So every claim, of any
release, replaces what the claim before it told.
"""

from secrets import randbits
from uuid import UUID, uuid4

_VERSION = 8
_VERSION_BITS = 0xF << 12  # of the first 64
_VARIANT = 0b10 << 62  # of the last 64


def new_lifeline() -> int:
    """Draw the lifeline of a process: a key of `pg_advisory_lock`, a signed number of 64 bits."""
    drawn = randbits(64) & ~_VERSION_BITS | _VERSION << 12
    return int.from_bytes(drawn.to_bytes(8), signed=True)


def draw_token(lifeline: int | None) -> UUID:
    """Draw a token that names the lifeline, or with None one that names none."""
    if lifeline is None:
        return uuid4()
    return UUID(bytes=lifeline.to_bytes(8, signed=True) + (_VARIANT | randbits(62)).to_bytes(8))


def lifeline_of(token: UUID) -> int | None:
    """Give the lifeline that a token names."""
    return int.from_bytes(token.bytes[:8], signed=True) if token.version == _VERSION else None
