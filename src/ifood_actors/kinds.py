"""Every kind of data that is pulled."""

from typing import Final

KINDS: Final = ("settlements_weekly", "anticipations_daily", "sales")


def queue_name(kind: str) -> str:
    """The work queue of a kind; ValueError for an unknown one."""
    if kind not in KINDS:
        raise ValueError(f"no such kind: {kind!r}, one of {', '.join(KINDS)}")
    return f"ifood.{kind}"
