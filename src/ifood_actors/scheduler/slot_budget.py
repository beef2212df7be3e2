"""How many due jobs may leave: no more than their applications' limiters can serve soon."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Engine

from ifood_actors.config import Settings
from ifood_actors.ifood.limiter.named_limits import limits_by_app
from ifood_actors.ifood.request_slots import interval
from ifood_actors.kinds import KINDS
from ifood_actors.ledger import Ledger

# Three ticks: a limiter must never run dry between two of them. The rest waits in the ledger,
# where a job of a higher priority overtakes it.
LOOK_AHEAD = timedelta(seconds=30)


@dataclass(frozen=True)
class RelayRate:
    """What the relay goes by: the configured limit, and whether iFood may raise it."""

    per_minute: int
    follow: bool = False
    look_ahead: timedelta = LOOK_AHEAD


def relay_rate(settings: Settings) -> RelayRate:
    """Give the rate of the settings; with a slower tick, it looks as many ticks ahead."""
    return RelayRate(
        settings.rate_limit_per_minute,
        follow=settings.rate_limit_follow,
        look_ahead=max(LOOK_AHEAD, 3 * settings.poll_interval),
    )


@dataclass
class SlotBudget:
    """
    The time of each application's limiter that is spoken for, within the look-ahead.

    A job takes the time of one request, which is the least that it can make; what more it makes
    holds up those behind it, and with them the relay. `full` are the applications without budget.
    """

    rate: RelayRate
    named: Mapping[tuple[UUID, str], int]
    taken: dict[UUID, timedelta] = field(default_factory=dict)
    full: frozenset[UUID] = frozenset()

    def take(self, app_id: UUID | None, kind: str, *, jobs: int = 1) -> bool:
        """Speak for the time of jobs; False when there is none left, and nothing is changed."""
        if app_id is None:  # it asks nothing
            return True
        taken = self.taken.get(app_id, timedelta())
        if taken >= self.rate.look_ahead:
            self.full |= {app_id}
            return False
        self.taken[app_id] = taken + jobs * self._step(app_id, kind)
        return True

    def copy(self) -> "SlotBudget":
        """Return one to take from in a transaction that may be rolled back."""
        return SlotBudget(self.rate, self.named, dict(self.taken), self.full)

    def _step(self, app_id: UUID, kind: str) -> timedelta:
        ours = self.rate.per_minute
        named = self.named.get((app_id, KINDS[kind].resource), ours)
        return interval(named if self.rate.follow else min(named, ours))


def measure_budget(engine: Engine, rate: RelayRate, *, grace: timedelta, actor: str) -> SlotBudget:
    """Measure what there is, once a tick."""
    with engine.connect() as connection:
        budget = SlotBudget(rate, limits_by_app(connection))
        under_way = Ledger(connection, actor=actor).under_way(grace=grace)
    for (app_id, kind), jobs in under_way.items():
        if kind in KINDS:
            budget.take(app_id, kind, jobs=jobs)
    return budget
