"""
Refusing an answer about another merchant or other days than those that were asked for.

It was seen in production (docs/ifood-api.md, section 2). Stored, it would put another's money
under this merchant and mark the merchant's own rows missing. No text holds an id of another.
"""

from datetime import date, timedelta

from ifood_actors.errors import Foreign
from ifood_actors.spans import Period


def is_other_merchant(named: str | None, *, asked: str) -> bool:
    """Say whether an item names another merchant; ids are compared without case and spaces."""
    return (named or "").strip().lower() not in {"", asked.strip().lower()}


def refuse_other_days(
    first: date | None, last: date | None, *, asked: Period, leeway: timedelta = timedelta()
) -> None:
    """Raise Foreign when days from `first` to `last` lie wholly outside; an unknown end may not."""
    too_late = first is not None and first > asked.end + leeway
    too_early = last is not None and last < asked.start - leeway
    if too_late or too_early:
        raise Foreign(f"days {first} to {last}, where {asked.start} to {asked.end} were asked for")
