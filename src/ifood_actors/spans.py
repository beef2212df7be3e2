"""Spans of time: the days that a job asks for, and the clock time over which a run is spread."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Final

# As windows are written; Monday is 0, as in `date.weekday()`.
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_WINDOW = re.compile(r"([a-z]+) +([0-9]{2}):([0-9]{2}) *- *([0-9]{2}):([0-9]{2})")


@dataclass(frozen=True, slots=True)
class Period:
    """Dates whose data is asked for, both included. Raises ValueError when they are reversed."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"a period cannot end on {self.end} and start on {self.start}")

    @property
    def days(self) -> int:
        return (self.end - self.start).days + 1

    def blocks(self, max_days: int) -> Iterator["Period"]:
        """Cut into periods of at most `max_days` days, oldest first, without gap or overlap."""
        if max_days < 1:
            raise ValueError("a block has at least one day")
        for offset in range(0, self.days, max_days):
            start = self.start + timedelta(days=offset)
            yield Period(start, min(self.end, start + timedelta(days=max_days - 1)))


@dataclass(frozen=True, slots=True)
class Window:
    """
    Clock times over which a run is spread, in the configured zone.

    `weekday` counts from Monday 0; None is every day. The end is exclusive, and an end that is
    not after the start lies on the next day.
    """

    weekday: int | None
    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Read `mon 08:00-12:00` or `daily 22:00-02:00`; 24:00 is the midnight that ends a day."""
        expected = "expected a window such as 'mon 08:00-12:00' or 'daily 06:00-08:00'"
        match = _WINDOW.fullmatch(text.strip().lower())
        if match is None or match[1] not in (*WEEKDAYS, "daily"):
            raise ValueError(expected)

        hours, minutes = int(match[4]), int(match[5])
        try:
            start = time(int(match[2]), int(match[3]))
            end = time(0) if (hours, minutes) == (24, 0) else time(hours, minutes)
        except ValueError:
            raise ValueError(expected) from None
        if start == end:
            raise ValueError("expected a window whose end differs from its start")

        weekday = None if match[1] == "daily" else WEEKDAYS.index(match[1])
        return cls(weekday, start, end)

    @property
    def ends_next_day(self) -> bool:
        return self.end <= self.start

    @property
    def length(self) -> timedelta:
        """By clock times; a run's window is longer or shorter when clocks jump in it."""
        start, end = (timedelta(hours=at.hour, minutes=at.minute) for at in (self.start, self.end))
        return end - start + timedelta(days=self.ends_next_day)

    def __str__(self) -> str:
        day = "daily" if self.weekday is None else WEEKDAYS[self.weekday]
        return f"{day} {self.start:%H:%M}-{self.end:%H:%M}"
