"""Faults, rates and limits from words or JSON; an error says in one line what is wrong."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from ifood_simulator.endpoints import RESOURCES
from ifood_simulator.faults import Fault
from ifood_simulator.settings import GROUPS, FaultRates, Group, Settings

T = TypeVar("T")
_FAULT = TypeAdapter(Fault)
_RATES = TypeAdapter(FaultRates)
_LIMITS = TypeAdapter(dict[Group, Annotated[int, Field(gt=0)] | None])


def fault_from(document: object) -> Fault:
    """Return a fault from its JSON; raises ValueError for an unknown name, field or value."""
    fault = _read(_FAULT, document)
    if fault.resource not in (None, *RESOURCES):
        raise ValueError(f"resource: {fault.resource} is none of {', '.join(RESOURCES)}")
    return fault


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
    return _read(_RATES, rates)


def limits_of(texts: Iterable[str]) -> dict[Group, int | None]:
    """All limits, those named in words like `financial=180` changed; raises ValueError."""
    usual = Settings()
    limits: dict[str, object] = {group: usual.limit_of(group) for group in GROUPS}
    limits |= {group: None if count == "none" else count for group, count in _pairs(texts)}
    if unknown := sorted(set(limits) - set(GROUPS)):
        raise ValueError(f"{unknown[0]} is none of {', '.join(GROUPS)}")
    return _read(_LIMITS, limits)


def _read(adapter: TypeAdapter[T], value: object) -> T:
    """Validate; raises ValueError with the first thing that is wrong."""
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{place}: {text}" if place else text) from None


def _pairs(words: Iterable[str]) -> list[tuple[str, str]]:
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise ValueError(f"expected name=value, not {word!r}")
        pairs.append((name, value))
    return pairs
