"""
Exact values out of JSON, as the types of fields: money, days, instants, texts.

What is not sure is refused: nothing is rounded and nothing is guessed. The rules' sources are in
docs/ifood-api.md, section 6.
"""

import re
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BeforeValidator, StringConstraints, ValidationInfo

from ifood_actors.feeds.exact_json import storable

T = TypeVar("T")

# The key of a validation's context: the zone in which a day with a time is a day.
ZONE = "zone"
_CENT = Decimal("0.01")
# numeric(14,2) holds twelve digits before the point.
_WHOLE_DIGITS = 12
_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ISO_INSTANT = re.compile(rf"{_ISO_DAY.pattern}[Tt ][0-9]{{2}}:[0-9]{{2}}")


def _text(value: object) -> object:
    """Take numbers too: a short id comes as text from one store and as a number from another."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    return value


def _exact(value: object) -> Decimal:
    """Give a number as exactly as it came. A float is refused: it has lost its cents already."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = Decimal(value)
    number = Decimal(value) if isinstance(value, int | Decimal) else Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite():
        raise ValueError("no exact number")
    if number and number.adjusted() >= _WHOLE_DIGITS:
        raise ValueError("number too large")
    return number


def _count(value: object) -> int:
    """Give a whole number; pydantic would write 1e999999999 out, digit by digit."""
    number = _exact(value)
    if number != int(number):
        raise ValueError("no whole number")
    return int(number)


def _cents(number: Decimal) -> Decimal:
    """Give two decimals; a third one that is not zero would be a lost cent."""
    cents = number.quantize(_CENT) if number else Decimal("0.00")
    if cents != number:
        raise ValueError("more than two decimals")
    return cents


def _instant(value: object) -> object:
    """Take ISO text with a time only: pydantic reads bare digits as seconds since 1970."""
    if isinstance(value, str) and _ISO_INSTANT.match(value):
        return value
    raise ValueError("no ISO date with a time")


def _day(value: object, info: ValidationInfo) -> date:
    """
    Take ISO text; a day with a time is the local day of that instant.

    Midnight is the exception: some programs write a bare day so.
    """
    if not isinstance(value, str) or not (_ISO_DAY.fullmatch(value) or _ISO_INSTANT.match(value)):
        raise ValueError("no ISO date")
    moment = datetime.fromisoformat(value)
    if moment.time() == time():
        return moment.date()
    return _utc(moment).astimezone(info.context[ZONE] if info.context else UTC).date()


def _absent_if_empty(value: object) -> object:
    """Take an empty text or list for null: some programs write nothing so."""
    return None if value in ("", []) else value


def _text_or_nothing(value: object) -> object:
    return storable(value) if isinstance(value, str) else None


def _day_or_nothing(value: object) -> object:
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def _utc(moment: datetime) -> datetime:
    """Read an instant without an offset as UTC, which is what iFood means by it."""
    if not MINYEAR < moment.year < MAXYEAR:
        raise ValueError("no usable year")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


Text = Annotated[str, BeforeValidator(_text)]
# Part of a unique index, whose rows Postgres limits to a third of a page.
Key = Annotated[Text, StringConstraints(max_length=200)]
Count = Annotated[int, BeforeValidator(_count)]
Rate = Annotated[Decimal, BeforeValidator(_exact)]
Money = Annotated[Rate, AfterValidator(_cents)]
Day = Annotated[date, BeforeValidator(_day)]
Maybe = Annotated[T | None, BeforeValidator(_absent_if_empty)]
# No columns: only compared with what was asked for. What cannot be read says nothing.
TextHint = Annotated[str | None, BeforeValidator(_text_or_nothing)]
DayHint = Annotated[date | None, BeforeValidator(_day_or_nothing)]
Instant = Annotated[datetime, BeforeValidator(_instant), AfterValidator(_utc)]
