"""
The SQL of the limiter: a row for each application and endpoint group, each act one statement.

Every instant is the database's own, read after the row's lock: `clock_timestamp()`.
"""

from sqlalchemy import text

_ROW = "app_id = :app_id AND endpoint_group = :group"
_TURN = "greatest(l.next_free_at, l.closed_until, clock_timestamp())"
# A named limit is believed for a day, even if the clock was set since.
BELIEVED = """
    named.heard_at BETWEEN statement_timestamp() - INTERVAL '1 day'
        AND statement_timestamp() + INTERVAL '1 day'
"""
_NAMED = f"""
    (SELECT named.per_minute FROM ifood_named_limits AS named
     WHERE named.app_id = :app_id AND named.endpoint = :endpoint AND {BELIEVED})
"""
# Requests to one endpoint are that endpoint's step apart, and all of a group ours: each limit
# holds by itself. As limiter.interval().
_LIMIT = f"least(coalesce({_NAMED}, CAST(:configured AS int)), CAST(:most AS int))"
# The most that a process needed lately; the least when none has needed more for a while.
_SLACK = """
    greatest(CAST(:slack AS interval), CASE WHEN
        l.slack_at BETWEEN statement_timestamp() - CAST(:calm AS interval)
            AND statement_timestamp() + CAST(:calm AS interval) THEN l.slack END)
"""  # greatest() passes over NULL


def _step(slack: str) -> str:
    window = f"(CAST(:window AS interval) + {slack})"
    return f"({window} / {_LIMIT} + INTERVAL '1 microsecond')"


_NEEDED_AT = "CASE WHEN :slack > CAST(:least AS interval) THEN statement_timestamp() END"

# While the breaker is half-open, the reservation that passes starts the next cooldown: one probe at
# a time.
RESERVE = text(f"""
    INSERT INTO ifood_limits AS l (app_id, endpoint_group, next_free_at, slack, slack_at)
    VALUES (:app_id, :group, clock_timestamp() + {_step(":slack")}, :slack, {_NEEDED_AT})
    ON CONFLICT (app_id, endpoint_group) DO UPDATE
    SET next_free_at = {_TURN} + {_step(_SLACK)},
        slack = {_SLACK}, slack_at = coalesce({_NEEDED_AT}, l.slack_at),
        closed_until = CASE WHEN l.failures >= :opens_after
            THEN {_TURN} + :probe_every ELSE l.closed_until END
    WHERE greatest(l.next_free_at, l.closed_until) <= clock_timestamp() + :max_wait
    RETURNING l.failures >= :opens_after AS probe, {_LIMIT} AS per_minute,
        extract(epoch FROM l.next_free_at - {_step("l.slack")} - clock_timestamp())::float8 AS wait
""")

# An instant beyond what can be reserved is left from a clock that has been set back since.
REFUSED = text(f"""
    UPDATE ifood_limits
    SET next_free_at = least(next_free_at, clock_timestamp() + :longest_wait),
        closed_until = CASE WHEN closed_until IS NOT NULL  -- least() would make one of NULL
            THEN least(closed_until, clock_timestamp() + :longest_cooldown) END
    WHERE {_ROW}
    RETURNING greatest(next_free_at, closed_until) - clock_timestamp() AS wait
""")

COOL_DOWN = text("""
    INSERT INTO ifood_limits AS l
        (app_id, endpoint_group, next_free_at, closed_at, closed_until, closed_reason)
    VALUES (:app_id, :group, clock_timestamp(), clock_timestamp(), clock_timestamp() + :after,
        :reason)
    ON CONFLICT (app_id, endpoint_group) DO UPDATE
    SET closed_until = excluded.closed_until, closed_reason = excluded.closed_reason,
        closed_at = CASE WHEN l.closed_until > clock_timestamp()
            THEN l.closed_at ELSE excluded.closed_at END
    WHERE l.closed_until IS NULL OR l.closed_until < excluded.closed_until
""")

# Of all that were refused together, the first starts the cooldown.
BACK_OFF = text(f"""
    UPDATE ifood_limits
    SET closed_at = clock_timestamp(), closed_reason = :reason,
        closed_until = clock_timestamp() + CASE
            WHEN closed_until > clock_timestamp() - :calm
            THEN least(greatest(2 * (closed_until - closed_at), :shortest), :longest)
            ELSE :shortest END
    WHERE {_ROW} AND (closed_until IS NULL OR closed_until <= clock_timestamp())
""")

# An application whose token endpoint has failed from its first request on has no row yet.
FAILED = text("""
    INSERT INTO ifood_limits AS l (app_id, endpoint_group, next_free_at, failures, blocked_by)
    VALUES (:app_id, :group, clock_timestamp(), 1, :blocked_by)
    ON CONFLICT (app_id, endpoint_group) DO UPDATE
    SET failures = l.failures + 1,
        blocked_by = excluded.blocked_by,
        closed_at = CASE WHEN l.failures + 1 = :opens_after
            THEN clock_timestamp() ELSE l.closed_at END,
        closed_until = CASE WHEN l.failures + 1 >= :opens_after
            THEN least(greatest(l.closed_until, clock_timestamp() + :probe_every),
                clock_timestamp() + :longest) ELSE l.closed_until END,
        closed_reason = CASE WHEN l.failures + 1 >= :opens_after
            THEN :reason ELSE l.closed_reason END
    RETURNING failures, closed_until - clock_timestamp() AS cooldown
""")

ANSWERED = text(f"""
    UPDATE ifood_limits
    SET failures = 0, blocked_by = NULL,
        closed_at = CASE WHEN failures < :opens_after THEN closed_at END,
        closed_until = CASE WHEN failures < :opens_after THEN closed_until END,
        closed_reason = CASE WHEN failures < :opens_after THEN closed_reason END
    WHERE {_ROW} AND failures > 0
""")

BELIEVE = text(f"""
    INSERT INTO ifood_named_limits AS named
        (app_id, endpoint, endpoint_group, per_minute, since, heard_at)
    VALUES (:app_id, :endpoint, :group, :per_minute, clock_timestamp(), clock_timestamp())
    ON CONFLICT (app_id, endpoint) DO UPDATE
    SET per_minute = excluded.per_minute, heard_at = excluded.heard_at,
        since = CASE WHEN named.per_minute = excluded.per_minute AND {BELIEVED}
            THEN named.since ELSE excluded.since END
""")
