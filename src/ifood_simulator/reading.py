"""Switches as words of a command line; whoever makes a mistake is told in one line."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from ifood_simulator.faults import Fault, fault_from, reason
from ifood_simulator.settings import GROUPS, FaultRates, Group, Settings

_RATES = TypeAdapter(FaultRates)
_LIMITS = TypeAdapter(dict[Group, Annotated[int, Field(gt=0)] | None])


def fault_of(text: str) -> Fault:
    """
    A switch from `NAME,field=value,...`.

    A dot leads into a field: `status,status=429,headers.Retry-After=5`. Raises ValueError.
    """
    name, *words = text.split(",")
    fields: dict[str, object] = {"quirk": name}
    parts: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for field, value in _pairs(words):
        outer, dot, inner = field.partition(".")
        if dot:
            parts[outer][inner] = value
        else:
            fields[field] = value
    return fault_from(fields | parts)


def fault_rates_of(text: str) -> FaultRates:
    """Rates from `server_error=0.02,slow=0.1,slow_seconds=5`; raises ValueError."""
    rates = dict(_pairs(text.split(",")))
    known = FaultRates.__dataclass_fields__
    if unknown := sorted(set(rates) - set(known)):
        raise ValueError(f"{unknown[0]} is none of {', '.join(known)}")
    try:
        return _RATES.validate_python(rates)
    except ValidationError as error:
        raise ValueError(reason(error)) from None


def limits_of(texts: Iterable[str]) -> dict[Group, int | None]:
    """All limits, those named in words like `financial=180` changed; raises ValueError."""
    usual = Settings()
    limits: dict[str, object] = {group: usual.limit_of(group) for group in GROUPS}
    limits |= {group: None if count == "none" else count for group, count in _pairs(texts)}
    if unknown := sorted(set(limits) - set(GROUPS)):
        raise ValueError(f"{unknown[0]} is none of {', '.join(GROUPS)}")
    try:
        return _LIMITS.validate_python(limits)
    except ValidationError as error:
        raise ValueError(reason(error)) from None


def _pairs(words: Iterable[str]) -> list[tuple[str, str]]:
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise ValueError(f"expected name=value, not {word!r}")
        pairs.append((name, value))
    return pairs
