"""
Which tokens to refresh before they are needed, so that no job of a window waits for one.

Pure. iFood allows 20 token calls a minute for an application, so 1,000 authorizations whose tokens
have expired cost more than an hour: a window that opened first would starve. A refresh is worth a
call once the new token still lives when it is needed, and is not made more than `lead` before,
since what is left of its life serves the next window. The earliest deadline comes first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import NamedTuple
from uuid import UUID

# A refresh token lives for 168 h (iFood authentication guide); no document promises that it can be
# refreshed on its last day: an unused one is refreshed this long after it was given.
UNUSED_AFTER = timedelta(days=3)
# One that ends within so long should have been refreshed days ago: people are told.
EXPIRING = timedelta(hours=36)


@dataclass(frozen=True, slots=True)
class RefreshPolicy:
    """
    How far ahead tokens are refreshed.

    `lead` is the time before a deadline: two hours are 1,740 calls at 15 a minute, more than an
    application may ever need at one instant. `margin` is how long after its slot a job may still
    ask with the token: its lateness and its ten minutes.
    """

    lead: timedelta = timedelta(hours=2)
    margin: timedelta = timedelta(minutes=15)


REFRESH_POLICY = RefreshPolicy()


class Deadline(NamedTuple):
    """A job of some kind that starts at an instant, or will when its run is planned."""

    at: datetime
    kind: str


@dataclass(frozen=True, slots=True)
class TokenState:
    """
    One authorization: until when its token is used, and for how long a new one would be.

    `refreshed_at` is when its refresh token was given, None if it has none.
    """

    id: UUID
    fresh_until: datetime | None
    fresh_for: timedelta
    refreshed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refresh:
    """A token call to make: not before `useful_from`, and by `deadline`, if any job needs it."""

    id: UUID
    useful_from: datetime
    deadline: Deadline | None


@dataclass(frozen=True, slots=True)
class Call:
    """A token call as it would be made, and the first deadline that it serves."""

    at: datetime
    id: UUID
    deadline: Deadline


def due(
    states: Iterable[TokenState],
    deadlines: Mapping[UUID, Sequence[Deadline]],
    *,
    at: datetime,
    policy: RefreshPolicy = REFRESH_POLICY,
) -> list[Refresh]:
    """
    List the tokens to refresh now, the earliest deadline first, and unused authorizations last.

    `deadlines` are those of each authorization, in any order.
    """
    needed, unused = [], []
    for state in states:
        refresh = next_refresh(state, deadlines.get(state.id, ()), at=at, policy=policy)
        if refresh is not None and refresh.useful_from <= at:
            needed.append(refresh)
        elif state.refreshed_at is not None and state.refreshed_at + UNUSED_AFTER <= at:
            unused.append(Refresh(state.id, state.refreshed_at + UNUSED_AFTER, None))
    needed.sort(key=_urgency)
    unused.sort(key=_urgency)
    return needed + unused


def forecast(
    states: Iterable[TokenState],
    deadlines: Mapping[UUID, Sequence[Deadline]],
    *,
    at: datetime,
    interval: timedelta,
    policy: RefreshPolicy = REFRESH_POLICY,
) -> list[Call]:
    """
    Tell which calls will be made when, from an instant on, `interval` apart at least.

    Only what is needed counts: refreshes of unused authorizations come after it.
    """
    held = {state.id: state for state in states}
    waiting: list[tuple[datetime, UUID, Deadline]] = []

    def await_next(state: TokenState, unserved: Sequence[Deadline]) -> None:
        refresh = next_refresh(state, unserved, at=at, policy=policy)
        if refresh is not None and refresh.deadline is not None:
            heappush(waiting, (refresh.useful_from, refresh.id, refresh.deadline))

    for id_, state in held.items():
        await_next(state, deadlines.get(id_, ()))
    ready: list[tuple[Deadline, UUID]] = []
    calls = []
    while waiting or ready:
        while waiting and waiting[0][0] <= at:
            _, id_, deadline = heappop(waiting)
            heappush(ready, (deadline, id_))
        if not ready:
            at = waiting[0][0]
            continue

        deadline, id_ = heappop(ready)
        calls.append(Call(at, id_, deadline))
        refreshed = held[id_] = replace(held[id_], fresh_until=at + held[id_].fresh_for)
        await_next(refreshed, deadlines[id_])
        at += interval
    return calls


def next_refresh(
    state: TokenState,
    deadlines: Sequence[Deadline],
    *,
    at: datetime,
    policy: RefreshPolicy = REFRESH_POLICY,
) -> Refresh | None:
    """Find the first deadline that the token does not cover; one that has passed counts as now."""
    uncovered = _uncovered(state, deadlines, at=at, policy=policy)
    if not uncovered:
        return None
    deadline = min(uncovered)
    lead = min(policy.lead, state.fresh_for - _margin(state, policy))
    return Refresh(state.id, deadline.at - lead, deadline)


def _uncovered(
    state: TokenState, deadlines: Sequence[Deadline], *, at: datetime, policy: RefreshPolicy
) -> list[Deadline]:
    if state.fresh_until is None:
        return list(deadlines)
    covered_until = state.fresh_until - _margin(state, policy)
    return [deadline for deadline in deadlines if max(deadline.at, at) > covered_until]


def _margin(state: TokenState, policy: RefreshPolicy) -> timedelta:
    """Keep room for a lead: the margin of a token that lives for minutes is a quarter of that."""
    return min(policy.margin, state.fresh_for / 4)


def _urgency(refresh: Refresh) -> tuple[datetime, str, UUID]:
    at, kind = refresh.deadline or (refresh.useful_from, "")
    return at, kind, refresh.id
