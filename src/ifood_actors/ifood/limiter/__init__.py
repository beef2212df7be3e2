"""
The pace of requests that all processes share, kept in Postgres.

limiter (reserves slots, heeds answers) · snapshots (cooldowns and breakers, as last read) ·
named_limits (what iFood names) · usage (both, for people) · limit_statements (the SQL)
"""

from ifood_actors.ifood.limiter.limiter import PROBE_EVERY, Limiter
from ifood_actors.ifood.limiter.named_limits import (
    forget_named_limits,
    limits_by_app,
    list_named_limits,
)
from ifood_actors.ifood.limiter.snapshots import read_limiters
from ifood_actors.ifood.limiter.usage import (
    LimitInUse,
    LimitUse,
    configured_rates,
    limit_uses,
    limits_in_use,
)

__all__ = [
    "PROBE_EVERY",
    "LimitInUse",
    "LimitUse",
    "Limiter",
    "configured_rates",
    "forget_named_limits",
    "limit_uses",
    "limits_by_app",
    "limits_in_use",
    "list_named_limits",
    "read_limiters",
]
