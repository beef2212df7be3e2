"""
The pace of requests that all processes share, kept in Postgres.

limiter (reserves slots, follows answers) · snapshots (cooldowns and breakers, as last read) ·
named_limits (what iFood names) · usage (both, for people) · limit_statements (the SQL)
"""

from ifood_actors.ifood.limiter.limiter import Limiter
from ifood_actors.ifood.limiter.snapshots import read_limiters

__all__ = ["Limiter", "named_limits", "read_limiters", "usage"]
