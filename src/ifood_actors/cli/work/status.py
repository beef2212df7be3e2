"""How the open runs are going, read at one instant, as often as it is asked."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from ifood_actors.cli.work.database import opened
from ifood_actors.config import Settings
from ifood_actors.db import database_now
from ifood_actors.ifood.limiter.usage import LimitInUse, LimitUse, limit_uses, limits_in_use
from ifood_actors.ledger.queries import runs
from ifood_actors.ledger.queries.runs import OutsideRuns, RunProgress, Throughput


@dataclass(frozen=True)
class Overview:
    """Everything that `status` shows, read at one instant."""

    at: datetime
    runs: Sequence[RunProgress]
    outside: Sequence[OutsideRuns]
    pace: Throughput
    limits: Sequence[LimitUse]
    in_use: Sequence[LimitInUse]
    rate_limit: int  # requests a minute, for each application
    zone: ZoneInfo

    def limits_of(self, use: LimitUse) -> list[LimitInUse]:
        """Give the limits of a limiter row's endpoints."""
        row = (use.app, use.endpoint_group)
        return [limit for limit in self.in_use if (limit.app, limit.endpoint_group) == row]


@contextmanager
def overviews() -> Iterator[Callable[[], Overview]]:
    """Open the database, and give a function that reads everything each time it is called."""
    with opened() as command:
        yield lambda: command.read(_overview, command.settings)


def _overview(tx: Connection, settings: Settings) -> Overview:
    return Overview(
        at=database_now(tx),
        runs=runs.open_runs(tx),
        outside=runs.open_outside_runs(tx),
        pace=runs.throughput(tx),
        limits=limit_uses(tx),
        in_use=limits_in_use(tx, settings),
        rate_limit=settings.rate_limit_per_minute,
        zone=settings.timezone,
    )
