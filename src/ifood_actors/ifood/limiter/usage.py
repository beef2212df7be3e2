"""How the applications' limits are doing, for people. Only reads."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection, text

from ifood_actors.config import Settings
from ifood_actors.db import read
from ifood_actors.ifood.limiter.named_limits import NamedLimit, list_named_limits
from ifood_actors.ifood.request_slots import EndpointGroup
from ifood_actors.ifood.thresholds import BREAKER_OPENS_AFTER
from ifood_actors.kinds import KINDS

ENDPOINTS: Final[dict[str, EndpointGroup]] = {
    **{kind.resource: "financial" for kind in KINDS.values()},
    "merchants": "merchant",
    "oauth": "oauth",
}

_USES = """
    SELECT app.name AS app, l.endpoint_group,
      greatest(l.next_free_at - now(), INTERVAL '0') AS reserved_ahead,
      CASE WHEN l.closed_until > now() THEN l.closed_until - now() END AS closed_for,
      CASE WHEN l.closed_until > now() OR l.failures >= :opens_after
        THEN l.closed_reason END AS closed_reason,
      CASE WHEN l.failures >= :opens_after THEN now() - l.closed_at END AS breaker_open_for,
      CASE WHEN l.failures >= :opens_after THEN l.blocked_by END AS blocked_by
    FROM ifood_limits AS l JOIN ifood_apps AS app ON app.id = l.app_id
    ORDER BY app.name, l.endpoint_group
"""


def configured_rates(settings: Settings) -> dict[EndpointGroup, int]:
    """Return the requests a minute of each endpoint group, as the settings allow them."""
    return {
        "financial": settings.rate_limit_per_minute,
        "merchant": settings.rate_limit_per_minute,
        "oauth": settings.rate_limit_oauth_per_minute,
    }


@dataclass(frozen=True)
class LimitUse:
    """
    One limiter row, now.

    Reservations reach `reserved_ahead`. `closed_for` is how much longer no process may send,
    and `breaker_open_for` since when only probes may; `blocked_by` is what a gateway says that
    refuses them.
    """

    app: str
    endpoint_group: str
    reserved_ahead: timedelta
    closed_for: timedelta | None
    closed_reason: str | None
    breaker_open_for: timedelta | None
    blocked_by: str | None


def limit_uses(connection: Connection) -> list[LimitUse]:
    """Show every limiter row that has been used."""
    return read(LimitUse, connection, _USES, opens_after=BREAKER_OPENS_AFTER)


@dataclass(frozen=True)
class LimitInUse:
    """How many requests a minute an application may send to an endpoint, and who says so."""

    app: str
    endpoint: str
    endpoint_group: str
    per_minute: int
    source: Literal["configured", "named by iFood"]
    since: datetime | None = None
    heard_at: datetime | None = None


def limits_in_use(connection: Connection, settings: Settings) -> list[LimitInUse]:
    """Show the limit of every application and endpoint."""
    named = {(one.app, one.endpoint): one for one in list_named_limits(connection)}
    configured = configured_rates(settings)
    apps = connection.execute(text("SELECT name FROM ifood_apps ORDER BY name")).scalars()
    return [
        _in_use(app, endpoint, configured[group], named.get((app, endpoint)), settings)
        for app in apps
        for endpoint, group in ENDPOINTS.items()
    ]


def _in_use(
    app: str, endpoint: str, ours: int, named: NamedLimit | None, settings: Settings
) -> LimitInUse:
    group = ENDPOINTS[endpoint]
    followed = named and (named.per_minute < ours or settings.rate_limit_follow)
    if named is None or not followed or named.per_minute == ours:
        return LimitInUse(app, endpoint, group, ours, "configured")
    told = (named.since, named.heard_at)
    return LimitInUse(app, endpoint, group, named.per_minute, "named by iFood", *told)
