"""
Which window is open or was missed, and which dates a job asks for.

Pure: instants come in as arguments. Windows are clock times, so a day is as long as its zone says;
`job_day` is the local date on which a window opens, also when it ends after midnight.
"""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ifood_actors.spans import Window

DAY = timedelta(days=1)

# An opening that is noticed later than this was missed: its window moves as a whole, because
# squeezing it would break the pace. Up to here, at most one minute's batch is due at once.
ON_TIME = timedelta(minutes=1)

# How far back a scheduler catches up; every feed's pull overlaps more than the rest of a month.
CATCH_UP_LIMIT = timedelta(days=35)


@dataclass(frozen=True, slots=True)
class Cadence:
    """How often a kind runs: once in each of its windows."""

    kind: str
    window: Window


@dataclass(frozen=True, slots=True)
class Opening:
    """One run to be planned; its slots lie in `window_start <= slot < window_end`, in UTC."""

    kind: str
    job_day: date
    window_start: datetime
    window_end: datetime


def opening_on(cadence: Cadence, day: date, *, zone: ZoneInfo) -> Opening | None:
    """
    Give the window that opens on a local day, or None when none does.

    A local time that clocks skip is the instant of the jump, one that comes twice is the first
    of the two; so windows of one kind never overlap. A window that lies wholly in a jump keeps
    its length, and a day that the zone skipped has none.
    """
    window = cadence.window
    if window.weekday is not None and window.weekday != day.weekday():
        return None

    last_day = day + DAY if window.ends_next_day else day
    start = _instant(day, window.start, zone=zone)
    end = _instant(last_day, window.end, zone=zone)
    if start.astimezone(zone).date() != day:
        return None
    if end == start:
        end += window.length
    return Opening(cadence.kind, day, start, end)


def due_openings(
    cadence: Cadence, *, since: date | None, at: datetime, zone: ZoneInfo
) -> list[Opening]:
    """
    List the runs to be planned by an instant, oldest first.

    `since` is the first local day that may still be unplanned: the day after the latest planned
    one, or None when nothing was ever planned, which then starts today. Days before
    `CATCH_UP_LIMIT` are given up. A run whose opening was missed starts at `at` and keeps the
    length of its window.
    """
    today = local_day(at, zone=zone)
    first = today if since is None else max(since, today - CATCH_UP_LIMIT)
    days = (first + n * DAY for n in range((today - first).days + 1))
    openings = (opening_on(cadence, day, zone=zone) for day in days)
    return [_moved(opening, at) for opening in openings if opening and opening.window_start <= at]


def latest_opening(cadence: Cadence, *, at: datetime, zone: ZoneInfo) -> Opening:
    """Give the last window that has opened by an instant, whether or not it is still open."""
    day = local_day(at, zone=zone)
    while True:
        opening = opening_on(cadence, day, zone=zone)
        if opening and opening.window_start <= at:
            return opening
        day -= DAY


def opening_at(cadence: Cadence, *, at: datetime, zone: ZoneInfo) -> Opening | None:
    """Give the window that is open at an instant, or None."""
    latest = latest_opening(cadence, at=at, zone=zone)
    return latest if at < latest.window_end else None


def next_opening(cadence: Cadence, *, at: datetime, zone: ZoneInfo) -> Opening:
    """Give the first window that opens after an instant."""
    day = local_day(at, zone=zone)
    while True:
        opening = opening_on(cadence, day, zone=zone)
        if opening and opening.window_start > at:
            return opening
        day += DAY


def local_day(at: datetime, *, zone: ZoneInfo) -> date:
    if at.tzinfo is None:
        raise ValueError("an instant needs a zone")
    return at.astimezone(zone).date()


def _moved(opening: Opening, at: datetime) -> Opening:
    if at - opening.window_start <= ON_TIME:
        return opening
    start = at.astimezone(UTC)
    length = opening.window_end - opening.window_start
    return Opening(opening.kind, opening.job_day, start, start + length)


def _instant(day: date, clock: time, *, zone: ZoneInfo) -> datetime:
    wall = datetime.combine(day, clock, tzinfo=zone)
    by_old_offset = wall.astimezone(UTC)
    by_new_offset = wall.replace(fold=1).astimezone(UTC)
    if by_new_offset >= by_old_offset:  # it exists, or comes twice: then this is the first
        return by_old_offset

    skipped = int((by_old_offset - by_new_offset).total_seconds())
    old_offset = wall.utcoffset()

    def is_after_jump(second: int) -> bool:
        return _after(by_new_offset, second).astimezone(zone).utcoffset() != old_offset

    return _after(by_new_offset, bisect_left(range(skipped), True, key=is_after_jump))  # noqa: FBT003 - the value looked for


def _after(instant: datetime, seconds: int) -> datetime:
    return instant + timedelta(seconds=seconds)
