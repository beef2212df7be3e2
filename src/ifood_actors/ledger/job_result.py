"""
What a successful job brought, and its JSON in `ifood_jobs.result` and in the job's history.

Pure. Writers, the bounds of the column and all readers take the names and types from here.
"""

from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """
    What a pull stored and what it asked; what earlier releases wrote may lack any of it.

    `rows` records came, of which `new`, `changed` and `unchanged` are parts. `missing` counts those
    that were marked as no longer there, `vanished` those that did not come and are not marked: too
    many at once. `rejected` items could not be read. `requests` were sent to iFood, of which
    `wasted` were answered by 404. `complete` is False where nothing may be called missing.
    `amount` is the kind's figure for reports, in BRL. `other_merchant_ids` are other merchants that
    the answers name.
    """

    rows: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    missing: int = 0
    vanished: int = 0
    rejected: int = 0
    requests: int = 0
    wasted: int = 0
    complete: bool = True
    amount: Decimal = Decimal(0)
    other_merchant_ids: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Give it as it is stored; an amount is text, so that no reader rounds it."""
        values = {name: getattr(self, name) for name in _TYPES}
        return values | {"amount": str(self.amount)}


_TYPES: Final = {each.name: each.type for each in fields(JobResult)}
COUNTS: Final = tuple(name for name, type_ in _TYPES.items() if type_ is int)
_CASTS: Final = {int: "bigint", bool: "boolean", Decimal: "numeric"}


def result_value(name: str, *, column: str = "result") -> str:
    """Give SQL for one value of a stored result, NULL where it is not there."""
    return f"CAST({column} ->> '{name}' AS {_CASTS[_TYPES[name]]})"  # type: ignore[index] # a class


@dataclass(frozen=True)
class Workload:
    """
    What the jobs of a kind cost on average.

    `requests_per_block` are those of one attempt, for each block of its period; `attempts` are
    those that a job was charged until it ended.
    """

    jobs: int
    requests_per_block: float
    attempts: float
