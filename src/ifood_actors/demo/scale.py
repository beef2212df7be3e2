"""How a Monday is made to fit into a minute. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from ifood_actors.config import Settings
from ifood_actors.planning.cadence import Opening, opening_on
from ifood_actors.planning.planner import cadences

_MOST_PER_MINUTE: Final = 100_000  # what the setting accepts


@dataclass(frozen=True)
class Scale:
    """
    All windows of a Monday, each squeezed into `length`; the API's limit grows by the same factor.

    The longest window decides on the factor, so no window gets more of the limit than it has.
    """

    length: timedelta
    factor: float
    real_limit: int
    limit: int


def scale(seconds: int, real: Settings) -> Scale:
    """Squeeze the windows of these settings into `seconds`."""
    length = timedelta(seconds=seconds)
    factor = max(_longest(real) / length, 1.0)
    limit = min(round(real.rate_limit_per_minute * factor), _MOST_PER_MINUTE)
    return Scale(length, factor, real.rate_limit_per_minute, limit)


def latest_monday(today: date) -> date:
    """Give the Monday whose runs are shown: today, or the one before."""
    return today - timedelta(days=today.weekday())


def openings(scaled: Scale, real: Settings, *, monday: date, start: datetime) -> list[Opening]:
    """Open every kind's window at `start`."""
    return [Opening(kind, monday, start, start + scaled.length) for kind in cadences(real)]


def window_length(kind: str, real: Settings, *, monday: date) -> timedelta:
    """Give the real length of a kind's window on that Monday."""
    opening = opening_on(cadences(real)[kind], monday, zone=real.timezone)
    if opening is None:
        raise ValueError(f"{kind} has no window on a Monday")
    return opening.window_end - opening.window_start


def _longest(real: Settings) -> timedelta:
    some_monday = date(2026, 1, 5)
    return max(window_length(kind, real, monday=some_monday) for kind in cadences(real))
