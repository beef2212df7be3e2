"""
Switches for everything that an API can do wrong, for one store or all, once or always.

A switch either replaces the answer (`status`, `redirect`, `huge`, `drift`, `revoked`,
`expired_token`, `refused_refresh`) or changes a right one (the others). `slow` and one other may
meet in a request.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from ifood_simulator.merchants import EmptyFace
from ifood_simulator.oddities import Odd

FaultName = Literal[
    "status",  # `status`, `body` (whose `message`) and `headers`
    "slow",  # `seconds` before the answer
    "drip",  # the body at `bytes_per_second`
    "cut",  # the connection closes `where` = before the head or in mid body
    "huge",  # a JSON body of `mebibytes`
    "redirect",  # `status` (302) to `location`
    "nan",  # the first amount is NaN, or `text`
    "truncated",  # half of the JSON, with a Content-Length that fits it
    "drift",  # valid JSON of an unknown shape
    "repeat_pages",  # the last page again and again, and always one more to come
    "omit",  # the last item is left out
    "revoked",  # 403, and no truth either
    "silent_empty",  # nothing, even where there is data, with a `face`
    "foreign",  # another merchant's data, or other days', as `whose` says
    "hollow",  # a page of sales that announces a million and shows none
    "odd",  # the first item, as `odd` says
    "expired_token",  # 401, and the token is really void
    "refused_refresh",  # 401 for a refresh token, which is not used up by that
    "habit",  # `habits` in place of the store's own
]


@with_config(ConfigDict(extra="forbid"))
class ResponseShape(TypedDict, total=False):
    """What of a store's answers may differ in shape, while their content stays the same."""

    array_envelope: bool
    empty: EmptyFace
    size_is_rows: bool
    total_off: bool
    repeats_row: bool
    balance_zero: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave. None in `merchant`, `resource` or `client_id` means any."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: Annotated[FaultName, Field(alias="quirk")]
    """One of `FaultName`; in JSON and on the command line its key is `quirk`."""
    merchant: str | None = None
    resource: str | None = None
    """One of `endpoints.RESOURCES`."""
    client_id: str | None = None
    times: int | None = None
    """How many matching requests it changes; None for all."""
    after: int = 0
    """How many matching requests it lets pass first."""
    status: int | None = None
    body: Literal["json", "html", "waf", "kong", "text", "empty"] = "json"
    """iFood's own word, or a page, a firewall's page, a note or a text of a gateway."""
    message: str | None = None
    """Of the bodies `json`, `kong` and `text`; None for one that is usual at that status."""
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 3.0
    bytes_per_second: int = 64
    where: Literal["head", "body"] = "body"
    mebibytes: int = 8
    location: str = "https://example.invalid/elsewhere"
    text: str = "NaN"
    face: EmptyFace = "list"
    odd: Odd = "decimals"
    whose: Literal["both", "merchant", "days"] = "both"
    habits: ResponseShape = field(default_factory=ResponseShape)

    def __post_init__(self) -> None:
        """Refuse an impossible status or pace with ValueError."""
        if self.status is not None and not 100 <= self.status <= 599:  # noqa: PLR2004 (HTTP's)
            raise ValueError(f"status {self.status} is not in 100..599")
        if self.bytes_per_second < 1 or not 0 <= self.seconds < inf:
            raise ValueError("an answer takes a finite time, and some bytes a second")


@dataclass(slots=True)
class _Switch:
    fault: Fault
    passed: int = 0
    used: int = 0

    def fits(
        self, merchants: Collection[str], resource: str, client_id: str, *, refreshing: bool = False
    ) -> bool:
        fault = self.fault
        return (
            (fault.merchant is None or fault.merchant in merchants)
            and (refreshing or fault.name != "refused_refresh")
            and fault.resource in (None, resource)
            and fault.client_id in (None, client_id)
            and (fault.times is None or self.used < fault.times)
        )

    def take(self) -> bool:
        """Use it up by one, unless it still lets requests pass."""
        if self.passed < self.fault.after:
            self.passed += 1
            return False
        self.used += 1
        return True


class ActiveFaults:
    """The switches that are on, in the order in which they were set."""

    def __init__(self) -> None:
        self._switches: list[_Switch] = []

    def add(self, fault: Fault) -> None:
        self._switches.append(_Switch(fault))

    def clear(self) -> None:
        self._switches.clear()

    def take(
        self,
        *,
        merchants: Collection[str],
        resource: str,
        client_id: str,
        refreshing: bool = False,
    ) -> tuple[Fault, ...]:
        """
        The switches for one request, used up by it: `slow` ones, then at most one other.

        `merchants` are the one that is asked about, or those of a refresh token.
        """
        taken = []
        for switch in self._switches:
            fits = switch.fits(merchants, resource, client_id, refreshing=refreshing)
            if not fits or not switch.take():
                continue
            taken.append(switch.fault)
            if switch.fault.name != "slow":
                break
        return tuple(taken)

    def revoked(self, merchant: str) -> bool:
        """Whether a lasting switch takes the permission away from every resource of the store."""
        return any(
            switch.fault.name == "revoked"
            and switch.fault.times is None
            and switch.fits({merchant}, switch.fault.resource or "sales", "")
            for switch in self._switches
        )

    def listed(self) -> list[dict[str, object]]:
        """What is on and how often each was used."""
        return [
            {
                "quirk": switch.fault.name,
                "merchant": switch.fault.merchant,
                "resource": switch.fault.resource,
                "times": switch.fault.times,
                "used": switch.used,
            }
            for switch in self._switches
        ]
