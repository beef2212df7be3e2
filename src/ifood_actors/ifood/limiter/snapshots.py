"""What the limiters of all applications allow at one instant, read from Postgres at once."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Engine, text

from ifood_actors.ifood.http.answers import LONGEST_PAUSE
from ifood_actors.ifood.limiter.limit_statements import BELIEVED
from ifood_actors.ifood.request_slots import SOON, EndpointGroup
from ifood_actors.ifood.thresholds import BREAKER_OPENS_AFTER

# No cooldown is made longer; one that ends later is left from a clock that was set back since.
LONGEST_COOLDOWN = LONGEST_PAUSE

KEPT_SECONDS = 1.0  # for which a process believes what it read

_READ = text(f"""
    SELECT app_id, failures > 0 AS failing, failures >= :opens_after AS breaker_open, crowded,
        CASE WHEN closed_until BETWEEN clock_timestamp() AND clock_timestamp() + :longest
            THEN extract(epoch FROM closed_until - clock_timestamp())::float8 ELSE 0 END AS seconds
    FROM ifood_limits, LATERAL (SELECT next_free_at > clock_timestamp() + :soon
            OR EXISTS (SELECT FROM ifood_named_limits AS named
                WHERE named.app_id = ifood_limits.app_id AND named.endpoint_group = :group
                  AND {BELIEVED})
            AS crowded) AS queue
    WHERE endpoint_group = :group AND (closed_until > clock_timestamp() OR failures > 0 OR crowded)
""")


@dataclass(frozen=True)
class LimiterSnapshot:
    """
    What Postgres knew at `read_at` (monotonic seconds) of the applications' limiters.

    `cooldown_seconds` is for how much longer no process may send, of those in cooldown. `failing`
    have failed lately, `breaker_open` ten times in a row. `crowded` have no slot left within 5 s,
    or had a limit named by iFood: jobs have to queue there.
    """

    read_at: float
    cooldown_seconds: Mapping[UUID, float]
    failing: frozenset[UUID]
    breaker_open: frozenset[UUID]
    crowded: frozenset[UUID] = frozenset()

    def cooldowns(self) -> dict[UUID, timedelta]:
        """Return who may not send now, and for how much longer, since no two clocks agree."""
        age = time.monotonic() - self.read_at
        left = {app_id: seconds - age for app_id, seconds in self.cooldown_seconds.items()}
        return {app_id: timedelta(seconds=s) for app_id, s in left.items() if s > 0}

    def half_open(self) -> frozenset[UUID]:
        """Return those whose breaker is half-open: one job may try whether iFood answers again."""
        return self.breaker_open - self.cooldowns().keys()


def read_limiters(engine: Engine, group: EndpointGroup) -> LimiterSnapshot:
    """Read the limiters of an endpoint group: all at which a job may have to wait."""
    values = {
        "group": group,
        "longest": LONGEST_COOLDOWN,
        "opens_after": BREAKER_OPENS_AFTER,
        "soon": SOON,
    }
    read_at = time.monotonic()
    with engine.connect() as connection:
        rows = connection.execute(_READ, values).all()
    return LimiterSnapshot(
        read_at,
        cooldown_seconds={row.app_id: row.seconds for row in rows if row.seconds > 0},
        failing=frozenset(row.app_id for row in rows if row.failing),
        breaker_open=frozenset(row.app_id for row in rows if row.breaker_open),
        crowded=frozenset(row.app_id for row in rows if row.crowded),
    )


class RecentSnapshots:
    """The latest snapshot of each endpoint group, read once a second at most."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._kept: dict[EndpointGroup, LimiterSnapshot] = {}

    def of(self, group: EndpointGroup) -> LimiterSnapshot:
        kept = self._kept.get(group)
        if kept is None or time.monotonic() - kept.read_at > KEPT_SECONDS:
            kept = self._kept[group] = read_limiters(self._engine, group)
        return kept

    def forget(self, group: EndpointGroup) -> None:
        """Read again the next time: this process has just changed something."""
        self._kept.pop(group, None)
