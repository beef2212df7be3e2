"""
The limits that iFood's answers name: which one is believed, and since when, for each endpoint.

One odd header must not slow everybody down, and a limit that was low yesterday may be higher
today: the newest answers count, and a very low limit has to be said more than once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from time import monotonic
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from ifood_actors.db import read
from ifood_actors.ifood.limiter import limit_statements as statements
from ifood_actors.ifood.request_slots import EndpointGroup
from ifood_actors.logs import get_logger

log = get_logger(__name__)

MOST = 2**31 - 1  # that Postgres' integer holds
IN_A_ROW = 3  # answers that must say the same before a doubtful limit is believed

_HEAR_AGAIN = timedelta(hours=1)  # the same limit on every answer is written so often
_Key = tuple[UUID, str]


@dataclass(frozen=True)
class _Heard:
    """What the latest answers said, and how many in a row."""

    limit: int
    times: int


class NamedLimits:
    """
    What this process has heard; what it believes, Postgres tells all processes.

    `rates` are the configured limits a minute. With `follow`, a limit above ours is believed, too.
    """

    def __init__(
        self, engine: Engine, *, rates: Mapping[EndpointGroup, int], follow: bool = False
    ) -> None:
        self._engine = engine
        self._rates = rates
        self.follow = follow
        self._used: dict[_Key, int] = {}
        self._written: dict[_Key, float] = {}
        self._heard: dict[_Key, _Heard] = {}
        self._lock = Lock()

    def use(self, app_id: UUID, endpoint: str, per_minute: int) -> None:
        """Note under which limit the latest slot was given: reading it costs no statement."""
        self._used[app_id, endpoint] = per_minute

    def in_use(self, app_id: UUID, group: EndpointGroup, endpoint: str) -> int:
        """Return the limit under which this process's latest slot was given."""
        return self._used.get((app_id, endpoint), self._rates[group])

    def hear(
        self, app_id: UUID, group: EndpointGroup, endpoint: str, *, named: int | None, refused: bool
    ) -> None:
        """
        Take the limit that an answer named, None for none; `refused` is a 429.

        A doubtful one is believed when a 429 confirms it, or after three answers in a row that say
        the same. In the usual case nothing is written.
        """
        configured, key = self._rates[group], (app_id, endpoint)
        latest = self._count(key, named)
        if latest is None or (named is None and not refused):
            return
        limit = min(latest.limit, MOST if self.follow else configured)
        used = self.in_use(app_id, group, endpoint)
        old = monotonic() - self._written.get(key, 0.0) > _HEAR_AGAIN.total_seconds()
        if limit == used and (limit == configured or not old):
            return
        # So low that one answer is no proof: under half of ours.
        doubtful = limit != used and 2 * limit < configured
        if doubtful and not refused and latest.times < IN_A_ROW:
            return
        self._believe(app_id, group, endpoint, limit)
        if limit != used:
            log.warning(
                "limit.named",
                app_id=str(app_id),
                endpoint=endpoint,
                per_minute=limit,
                before=used,
                configured=configured,
            )

    def _count(self, key: _Key, named: int | None) -> _Heard | None:
        with self._lock:
            former = self._heard.pop(key, None)  # an answer that names none ends the row
            if named is None:
                return former
            times = former.times + 1 if former and former.limit == named else 1
            latest = self._heard[key] = _Heard(named, times)
            return latest

    def _believe(self, app_id: UUID, group: EndpointGroup, endpoint: str, limit: int) -> None:
        values = {"app_id": app_id, "endpoint": endpoint, "group": group, "per_minute": limit}
        with self._engine.connect() as connection:
            connection.execute(statements.BELIEVE, values)
        self._written[app_id, endpoint] = monotonic()
        self.use(app_id, endpoint, limit)


@dataclass(frozen=True)
class NamedLimit:
    """A limit a minute that iFood named at an endpoint: since when, and when it was last heard."""

    app_id: UUID
    app: str
    endpoint: str
    endpoint_group: str
    per_minute: int
    since: datetime
    heard_at: datetime


_NAMED = f"""
    SELECT named.app_id, app.name AS app, named.endpoint, named.endpoint_group, named.per_minute,
      named.since, named.heard_at
    FROM ifood_named_limits AS named JOIN ifood_apps AS app ON app.id = named.app_id
    WHERE {statements.BELIEVED}
    ORDER BY app.name, named.endpoint
"""


def limits_by_app(connection: Connection) -> dict[tuple[UUID, str], int]:
    """Return every named limit that is still believed, by application and endpoint."""
    named = list_named_limits(connection)
    return {(one.app_id, one.endpoint): one.per_minute for one in named}


def list_named_limits(connection: Connection) -> list[NamedLimit]:
    """Show every named limit that is still believed."""
    return read(NamedLimit, connection, _NAMED)


def forget_named_limits(connection: Connection, *, app: str) -> int:
    """Go back to the configured limits of an application; returns how many were forgotten."""
    done = connection.execute(
        text(
            "DELETE FROM ifood_named_limits AS named USING ifood_apps AS app"
            " WHERE app.id = named.app_id AND app.name = :app"
        ),
        {"app": app},
    )
    return done.rowcount
