"""Which applications may not send for a while, and which are being tried, at one instant."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import Engine, text

EndpointGroup = Literal["financial", "merchant", "oauth"]

# No closure is made longer; one that ends later is left from a clock that has been set back since.
LONGEST_CLOSURE = timedelta(hours=1)

# Deliveries of one application, in a row, that ended in a fault of iFood's: then it has failed.
BREAKS_AFTER = 10

MEMORY = timedelta(days=1)  # for which a limit that iFood named is believed

_READ = text("""
    SELECT app_id, failures > 0 AS troubled, failures >= :breaks_after AS broken,
        CASE WHEN closed_until BETWEEN clock_timestamp() AND clock_timestamp() + :longest
            THEN extract(epoch FROM closed_until - clock_timestamp())::float8 ELSE 0 END AS seconds
    FROM ifood_limits
    WHERE endpoint_group = :group AND (closed_until > clock_timestamp() OR failures > 0)
""")


@dataclass(frozen=True)
class Closures:
    """
    What Postgres knew at `read_at` (monotonic seconds) of the applications' limiters.

    `troubled` have failed lately; `broken` so often that their breaker is open.
    """

    read_at: float
    seconds: Mapping[UUID, float]
    troubled: frozenset[UUID]
    broken: frozenset[UUID]

    def closed(self) -> dict[UUID, timedelta]:
        """Give who may not send now, and for how much longer; durations, as no two clocks agree."""
        age = time.monotonic() - self.read_at
        left = {app_id: seconds - age for app_id, seconds in self.seconds.items()}
        return {app_id: timedelta(seconds=s) for app_id, s in left.items() if s > 0}

    def probing(self) -> frozenset[UUID]:
        """Give those whose breaker is open, and at which one job may see whether iFood is back."""
        return self.broken - self.closed().keys()


def read_closures(engine: Engine, group: EndpointGroup) -> Closures:
    """Ask Postgres."""
    values = {"group": group, "longest": LONGEST_CLOSURE, "breaks_after": BREAKS_AFTER}
    read_at = time.monotonic()
    with engine.connect() as connection:
        rows = connection.execute(_READ, values).all()
    return Closures(
        read_at,
        seconds={row.app_id: row.seconds for row in rows if row.seconds > 0},
        troubled=frozenset(row.app_id for row in rows if row.troubled),
        broken=frozenset(row.app_id for row in rows if row.broken),
    )
