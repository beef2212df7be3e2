"""How the applications' limits are doing, for people. Only reads."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, text

from ifood_actors.ifood.closures import BREAKS_AFTER, MEMORY

_USES = text("""
    SELECT app.name AS app, l.endpoint_group,
      greatest(l.next_free_at - now(), INTERVAL '0') AS reserved_ahead,
      CASE WHEN l.closed_until > now() THEN l.closed_until - now() END AS closed_for,
      CASE WHEN l.closed_until > now() OR l.failures >= :breaks_after
        THEN l.closed_reason END AS closed_reason,
      CASE WHEN l.failures >= :breaks_after THEN now() - l.closed_at END AS breaker_open_for,
      CASE WHEN l.learned_at > now() - :memory THEN l.learned_per_minute END AS learned_per_minute
    FROM ifood_limits AS l JOIN ifood_apps AS app ON app.id = l.app_id
    ORDER BY app.name, l.endpoint_group
""")


@dataclass(frozen=True)
class LimitUse:
    """
    One limiter row, now.

    Reservations reach `reserved_ahead`. `closed_for` is how much longer nobody may send, and
    `breaker_open_for` since when only probes may. `learned_per_minute` is a limit that iFood
    named and that is lower than the configured one.
    """

    app: str
    endpoint_group: str
    reserved_ahead: timedelta
    closed_for: timedelta | None
    closed_reason: str | None
    breaker_open_for: timedelta | None
    learned_per_minute: int | None


def limit_uses(connection: Connection) -> list[LimitUse]:
    """Show every limiter row that has been used."""
    rows = connection.execute(_USES, {"breaks_after": BREAKS_AFTER, "memory": MEMORY}).mappings()
    return [LimitUse(**row) for row in rows]
