"""
Which tokens to renew before they are needed, so that no job of a window waits for one.

Pure. iFood allows 20 token calls a minute for an application, so 1,000 authorizations whose tokens
have expired cost more than an hour: a window that opened first would starve. A renewal is worth a
call once the new token still lives when it is needed, and is not made more than `lead` before,
since what is left of its life serves the next window. The earliest need comes first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import NamedTuple
from uuid import UUID

# A refresh token lives for 168 h (iFood authentication guide) and nobody promises that it can be
# renewed on its last day: an unused one is renewed this long after it was given.
UNUSED_AFTER = timedelta(days=3)
# One that ends within so long should have been renewed days ago: people are told.
EXPIRING = timedelta(hours=36)


@dataclass(frozen=True, slots=True)
class Foresight:
    """
    How far ahead tokens are renewed.

    `lead` is the time before a need: two hours are 1,740 calls at 15 a minute, more than an
    application may ever need at one instant. `margin` is how long after its slot a job may still
    ask with the token: its lateness and its ten minutes.
    """

    lead: timedelta = timedelta(hours=2)
    margin: timedelta = timedelta(minutes=15)


FORESIGHT = Foresight()


class Need(NamedTuple):
    """A job of some kind that starts at an instant, or will when its run is planned."""

    at: datetime
    kind: str


@dataclass(frozen=True, slots=True)
class Standing:
    """
    One authorization: until when its token is used, and for how long a new one would be.

    `refreshed_at` is when its refresh token was given, None if it has none.
    """

    id: UUID
    fresh_until: datetime | None
    fresh_for: timedelta
    refreshed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Renewal:
    """A token call to make: not before `useful_from`, and by `need`, if anybody needs it."""

    id: UUID
    useful_from: datetime
    need: Need | None


@dataclass(frozen=True, slots=True)
class Call:
    """A token call as it would be made, and the first need that it serves."""

    at: datetime
    id: UUID
    need: Need


def due(
    standings: Iterable[Standing],
    needs: Mapping[UUID, Sequence[Need]],
    *,
    at: datetime,
    foresight: Foresight = FORESIGHT,
) -> list[Renewal]:
    """
    List the tokens to renew now, the earliest need first, and unused authorizations last.

    `needs` are those of each authorization, in any order.
    """
    needed, unused = [], []
    for standing in standings:
        renewal = next_renewal(standing, needs.get(standing.id, ()), at=at, foresight=foresight)
        if renewal is not None and renewal.useful_from <= at:
            needed.append(renewal)
        elif standing.refreshed_at is not None and standing.refreshed_at + UNUSED_AFTER <= at:
            unused.append(Renewal(standing.id, standing.refreshed_at + UNUSED_AFTER, None))
    needed.sort(key=_urgency)
    unused.sort(key=_urgency)
    return needed + unused


def forecast(
    standings: Iterable[Standing],
    needs: Mapping[UUID, Sequence[Need]],
    *,
    at: datetime,
    interval: timedelta,
    foresight: Foresight = FORESIGHT,
) -> list[Call]:
    """
    Tell which calls will be made when, from an instant on, `interval` apart at least.

    Only what is needed counts: renewals of unused authorizations come after it.
    """
    held = {standing.id: standing for standing in standings}
    waiting: list[tuple[datetime, UUID, Need]] = []
    for id_, standing in held.items():
        _await_next(waiting, standing, needs.get(id_, ()), at=at, foresight=foresight)
    ready: list[tuple[Need, UUID]] = []
    calls = []
    while waiting or ready:
        while waiting and waiting[0][0] <= at:
            _, id_, need = heappop(waiting)
            heappush(ready, (need, id_))
        if not ready:
            at = waiting[0][0]
            continue

        need, id_ = heappop(ready)
        calls.append(Call(at, id_, need))
        renewed = held[id_] = replace(held[id_], fresh_until=at + held[id_].fresh_for)
        unserved = _uncovered(renewed, needs[id_], at=at, foresight=foresight)
        _await_next(waiting, renewed, unserved, at=at, foresight=foresight)
        at += interval
    return calls


def next_renewal(
    standing: Standing, needs: Sequence[Need], *, at: datetime, foresight: Foresight = FORESIGHT
) -> Renewal | None:
    """Find the first need that the token does not cover; a need that has passed is one of now."""
    uncovered = _uncovered(standing, needs, at=at, foresight=foresight)
    if not uncovered:
        return None
    need = min(uncovered)
    lead = min(foresight.lead, standing.fresh_for - _margin(standing, foresight))
    return Renewal(standing.id, need.at - lead, need)


def _await_next(
    waiting: list[tuple[datetime, UUID, Need]],
    standing: Standing,
    needs: Sequence[Need],
    *,
    at: datetime,
    foresight: Foresight,
) -> None:
    renewal = next_renewal(standing, needs, at=at, foresight=foresight)
    if renewal is not None and renewal.need is not None:
        heappush(waiting, (renewal.useful_from, renewal.id, renewal.need))


def _uncovered(
    standing: Standing, needs: Sequence[Need], *, at: datetime, foresight: Foresight
) -> list[Need]:
    if standing.fresh_until is None:
        return list(needs)
    covered_until = standing.fresh_until - _margin(standing, foresight)
    return [need for need in needs if max(need.at, at) > covered_until]


def _margin(standing: Standing, foresight: Foresight) -> timedelta:
    """Keep room for a lead: the margin of a token that lives for minutes is a quarter of that."""
    return min(foresight.margin, standing.fresh_for / 4)


def _urgency(renewal: Renewal) -> tuple[datetime, str, UUID]:
    at, kind = renewal.need or (renewal.useful_from, "")
    return at, kind, renewal.id
