"""
Which stores that have nothing are asked on a day: those that answered by nothing but 404.

Pure. iFood counts 404s that recur as improper use, and a store without an anticipation plan
answers so every day. A store is idle once it has for 14 days; then it is asked every so many days
only, and every day again once it has answered anything else.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import blake2b
from typing import Final
from uuid import UUID

IDLE_AFTER_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class NotFoundStreak:
    """
    All that a store has answered for a while was 404.

    `first` and `last` are the days of the runs that got the first and the latest of these answers,
    as far back as was looked; `asked` is the latest run in which a job of it did not fail.
    """

    account_id: UUID
    first: date
    last: date
    asked: date

    @property
    def is_idle(self) -> bool:
        return (self.last - self.first).days + 1 >= IDLE_AFTER_DAYS


def look_back(every: int) -> timedelta:
    """Give how far back to look, to see that stores are idle that are asked every so many days."""
    return timedelta(days=IDLE_AFTER_DAYS + 2 * every)


def asked_again_on(streak: NotFoundStreak, day: date, *, every: int) -> date:
    """
    Give the first day, from `day` on, whose run asks an idle store, at most `every` days apart.

    Each store has days of its own, so that they are not all asked on the same one. One that was
    not asked for so long, because its job failed or nothing ran, is asked at once.
    """
    digest = blake2b(streak.account_id.bytes, digest_size=8).digest()
    until_its_own = (int.from_bytes(digest) - day.toordinal()) % every
    latest = streak.asked + timedelta(days=every)
    return max(day, min(day + timedelta(days=until_its_own), latest))
