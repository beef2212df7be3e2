"""Merchant ids for sheets that people might have written."""

from uuid import UUID


def merchant(number: int) -> str:
    """The id of merchant number `number`; they sort like their numbers."""
    return str(UUID(int=(0xA << 124) + number))


M, N, P, Q = map(merchant, range(4))
