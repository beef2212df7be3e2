"""
Rate limits as iFood counts them: per application and group of endpoints, all stores together.

The count is exact: a request is refused when it would be one more than the limit within any
`window`. Refused requests do not use up the limit, but they are part of what `worst` reports.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

from ifood_simulator.settings import Group


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the limiter says of one request; `reset` is in whole seconds, rounded up."""

    allowed: bool
    limit: int | None
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        """The three headers of iFood; none where there is no limit."""
        if self.limit is None:
            return {}
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


@dataclass(slots=True)
class _Count:
    """One application and group: instants of the last window, and sums over its life."""

    arrived: deque[float] = field(default_factory=deque)
    allowed: deque[float] = field(default_factory=deque)
    total: int = 0
    worst: int = 0
    by_status: Counter[int] = field(default_factory=Counter)


class Limits:
    """Not thread-safe; instants are seconds of one monotonic clock and never go back."""

    def __init__(self, per_window: Mapping[Group, int | None], *, window: float) -> None:
        self.window = window
        self._limits = dict(per_window)
        self._counts: dict[tuple[str, Group], _Count] = {}

    def set(self, group: Group, limit: int | None) -> None:
        """From now on; what was counted before stays counted."""
        self._limits[group] = limit

    def limits(self) -> dict[Group, int | None]:
        """The limits in force, for each group."""
        return dict(self._limits)

    def ask(self, client_id: str, group: Group, *, at: float) -> Verdict:
        """Count a request that arrives at `at`, and say whether it may pass."""
        count = self._counts.setdefault((client_id, group), _Count())
        self._arrive(count, at)
        limit = self._limits[group]
        if limit is None:
            return Verdict(allowed=True, limit=None, remaining=0, reset=0)
        allowed = len(count.allowed) < limit
        if allowed:
            count.allowed.append(at)
        oldest = count.allowed[0] if count.allowed else at
        return Verdict(
            allowed=allowed,
            limit=limit,
            remaining=max(0, limit - len(count.allowed)),
            reset=max(1, ceil(oldest + self.window - at)),
        )

    def answered(self, client_id: str, group: Group, status: int) -> None:
        """Note the status that a counted request got in the end."""
        self._counts.setdefault((client_id, group), _Count()).by_status[status] += 1

    def stats(self) -> list[dict[str, object]]:
        """For each application and group: total, by status, worst count in any window, limit."""
        return [
            {
                "client_id": client_id,
                "group": group,
                "total": count.total,
                "by_status": {str(status): n for status, n in sorted(count.by_status.items())},
                "worst": count.worst,
                "limit": self._limits[group],
            }
            for (client_id, group), count in sorted(self._counts.items())
        ]

    def _arrive(self, count: _Count, at: float) -> None:
        for instants in (count.arrived, count.allowed):
            while instants and instants[0] <= at - self.window:
                instants.popleft()
        count.arrived.append(at)
        count.total += 1
        count.worst = max(count.worst, len(count.arrived))
