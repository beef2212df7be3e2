"""Seeded chance: the same key gives the same draw, in any order, in any process."""

from hashlib import blake2b
from random import Random

_WHOLE = 2.0**64


def number(*key: object) -> int:
    """A whole number in [0, 2^64) that depends on nothing but `key`."""
    text = "\x1f".join(map(str, key)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest())


def unit(*key: object) -> float:
    """A number in [0, 1) that depends on nothing but `key`."""
    return number(*key) / _WHOLE


def stream(*key: object) -> Random:
    """A generator that starts from nothing but `key`."""
    return Random(number(*key))


def happens(rng: Random, share: float) -> bool:
    """Whether an event of that share of cases happens this time."""
    return rng.random() < share
