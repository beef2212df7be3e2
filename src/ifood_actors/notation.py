"""
How people write durations, zones and shares.

What reads a text raises `ValueError` with what was expected, not with what was given.
"""

import re
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

_DURATION = re.compile(r"(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,7})s)?")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%")


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, from 0 to 1, written in percent."""

    of_one: float

    @classmethod
    def parse(cls, text: str) -> "Share":
        """Read `5%` or `0.5%`; the sign is needed, since 0.5 could mean either."""
        match = _PERCENT.fullmatch(text.strip())
        if match is None or not 0 <= float(match[1]) <= 100:  # noqa: PLR2004 - percent
            raise ValueError("expected a percentage from 0% to 100%, such as 5%")
        return cls(float(match[1]) / 100)

    def __str__(self) -> str:
        return f"{100 * self.of_one:g}%"


def parse_duration(text: str) -> timedelta:
    """Read `45s`, `10m`, `4h33m`, `2d` or `0`: whole numbers, largest unit first."""
    match = _DURATION.fullmatch(text.strip().lower())
    if text.strip() == "0":
        return timedelta()
    if match is None or not any(match.groups()):
        raise ValueError("expected a duration such as 45s, 10m, 4h or 2d")

    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Write whole seconds the way `parse_duration` reads them."""
    seconds = int(duration.total_seconds())
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0"


def zone(text: str) -> ZoneInfo:
    """Read the name of a zone, such as `America/Sao_Paulo`."""
    try:
        return ZoneInfo(text.strip())
    except (KeyError, ValueError, OSError):  # unknown, a path, a folder of zones
        raise ValueError("expected a time zone such as America/Sao_Paulo") from None
