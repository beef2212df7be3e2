"""
When each job of a run starts: equally spaced over the window, in an order that stays.

Pure. The unit inside is the microsecond, in whole numbers: floats would put two jobs into one slot
or the last one onto the window's end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Literal, NamedTuple
from uuid import UUID

from ifood_actors.errors import UsageError

SMALLEST_AUTO_BATCH = 5  # jobs per minute, the pace of the system before this one
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)


class DoesNotFit(UsageError):
    """The batch size cannot start every account within the window: raise one of the two."""

    def __init__(self, *, accounts: int, batch_size: int, length: timedelta) -> None:
        self.accounts = accounts
        self.capacity = jobs_within(length, batch_size=batch_size)
        self.needed = batch_size_for(accounts, length=length)
        super().__init__(
            f"{batch_size:,} a minute over {length / MINUTE:g} minutes is {self.capacity:,} jobs, "
            f"but {accounts:,} accounts are active; "
            f"IFOOD_BATCH_SIZE must be at least {self.needed:,}"
        )


class Candidate(NamedTuple):
    """An account that gets a job; a higher priority runs earlier."""

    account_id: UUID
    priority: int


@dataclass(frozen=True, slots=True)
class Pacing:
    """
    The slots of one run, in the order in which its jobs start.

    Slots are equally spaced, so the busiest second of a window is its average second. They are
    computed when asked for: 100,000 accounts are a list of ids, and nothing more.
    """

    account_ids: Sequence[UUID]
    window_start: datetime
    window_end: datetime
    batch_size: int

    def __len__(self) -> int:
        return len(self.account_ids)

    def __iter__(self) -> Iterator[tuple[UUID, datetime]]:
        return ((account_id, self.slot(rank)) for rank, account_id in enumerate(self.account_ids))

    def slot(self, rank: int) -> datetime:
        """Give the start of the job at this place of the order, in UTC."""
        length = (self.window_end - self.window_start) // MICROSECOND
        return self.window_start + timedelta(microseconds=rank * length // len(self.account_ids))


def spread(
    accounts: Sequence[Candidate],
    window_start: datetime,
    window_end: datetime,
    *,
    batch_size: int | Literal["auto"],
    overflow: Literal["refuse", "extend"] = "refuse",
) -> Pacing:
    """
    Give every account one slot.

    The order is by priority and then by a hash of the id, so an account that is added or removed
    moves every other one of its priority by at most one slot's width from one day to the next.
    At most `batch_size` jobs start in any minute; a window that is too short for that is extended
    at its end, or refused with `DoesNotFit`.
    """
    start, end = window_start.astimezone(UTC), window_end.astimezone(UTC)
    length = end - start
    if length <= timedelta():
        raise ValueError("a window ends after it starts")

    pace = resolve_batch_size(batch_size, accounts=len(accounts), length=length)
    if len(accounts) > jobs_within(length, batch_size=pace):
        if overflow == "refuse":
            raise DoesNotFit(accounts=len(accounts), batch_size=pace, length=length)
        end = start + length_for(len(accounts), batch_size=pace)

    ordered = [candidate.account_id for candidate in sorted(accounts, key=_order)]
    return Pacing(ordered, start, end, pace)


def resolve_batch_size(setting: int | Literal["auto"], *, accounts: int, length: timedelta) -> int:
    """Give the jobs per minute that a setting means for so many accounts."""
    if setting != "auto":
        return setting
    return max(SMALLEST_AUTO_BATCH, batch_size_for(accounts, length=length))


def batch_size_for(accounts: int, *, length: timedelta) -> int:
    """Give the fewest jobs per minute that start all accounts within a window, at least 1."""
    return max(1, -(-accounts * MINUTE // length))


def jobs_within(length: timedelta, *, batch_size: int) -> int:
    return batch_size * length // MINUTE


def length_for(accounts: int, *, batch_size: int) -> timedelta:
    """Give the shortest window in which all accounts start, rounded up to a microsecond."""
    return -(-accounts * MINUTE // (batch_size * MICROSECOND)) * MICROSECOND


def _order(candidate: Candidate) -> tuple[int, bytes, UUID]:
    # Python's own hash() differs from one process to the next.
    digest = blake2b(candidate.account_id.bytes, digest_size=8).digest()
    return -candidate.priority, digest, candidate.account_id
