"""What a simulated iFood is made of: all of it is data, so equal settings give equal answers."""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

AppKind = Literal["centralized", "distributed"]
Group = Literal["financial", "merchant", "oauth"]
GROUPS: tuple[Group, ...] = ("financial", "merchant", "oauth")

DEFAULT_CLIENT_ID = "5f0c5bb8-6ad4-4a52-9d3b-6a1c3f2b7e10"
DEFAULT_CLIENT_SECRET = "simulated-secret"  # noqa: S105 (opens nothing but the simulator)


@dataclass(frozen=True, slots=True)
class App:
    """An iFood application; merchant number i belongs to number i modulo their count."""

    name: str = "simulated"
    client_id: str = DEFAULT_CLIENT_ID
    client_secret: str = field(default=DEFAULT_CLIENT_SECRET, repr=False)
    kind: AppKind = "centralized"
    modules: frozenset[str] = frozenset({"financial", "merchant"})
    owners: int = 1
    """Who confirms userCodes: its store number k belongs to owner k modulo their count."""


@dataclass(frozen=True, slots=True)
class FaultRates:
    """
    Shares of requests that go wrong by themselves, each between 0 and 1, together at most 1.

    Which ones go wrong is decided by seed, merchant, resource and the request's number, so a run
    that sends the same requests meets the same faults.
    """

    server_error: float = 0.0
    """A 500 with iFood's JSON error."""
    bad_gateway: float = 0.0
    """A 502, 503 or 504 with the gateway's HTML page."""
    throttled: float = 0.0
    """A 429 although the limit is not reached."""
    cut: float = 0.0
    """The connection closes in the middle of the body."""
    slow: float = 0.0
    """A right answer, `slow_seconds` late."""
    slow_seconds: float = 3.0

    def __post_init__(self) -> None:
        """Refuse what is no share with ValueError."""
        rates = (self.server_error, self.bad_gateway, self.throttled, self.cut, self.slow)
        if min(rates) < 0 or not sum(rates) <= 1:
            raise ValueError("rates lie between 0 and 1, together too")


ROUGH = FaultRates(server_error=0.02, bad_gateway=0.01, throttled=0.01, cut=0.01, slow=0.01)
"""A bad day: one request in about seventeen goes wrong."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the simulator is told at its start."""

    seed: int = 1
    merchants: int = 100
    apps: tuple[App, ...] = (App(),)
    today: date | None = None
    """The day of the simulated world; None follows the calendar in America/Sao_Paulo."""

    financial_per_minute: int | None = 1000
    """Requests in any `window_seconds`, for each application; None sets no limit.

    The 1,000 of the Financial endpoints are second-hand, the 20 of oauth are iFood's own.
    """
    merchant_per_minute: int | None = 1000
    oauth_per_minute: int | None = 20
    window_seconds: float = 60.0
    retry_after: Literal["none", "seconds", "date"] = "none"
    """Whether a 429 also carries `Retry-After`: some have seen it, iFood promises nothing."""

    token_seconds: float = 10_800.0
    refresh_token_seconds: float = 604_800.0
    token_size: int = 1_200
    """Characters of a token; iFood says to plan for up to 8,000."""
    spread_seconds: float = 0.0
    """From the link of a store to its first answer; iFood says up to ten minutes."""

    latency_seconds: float = 0.0
    """Mean of an exponential delay before each API answer."""
    sales_per_day: float = 3.0
    sales_page_size: int = 100
    no_plan_share: float = 0.6
    """Stores without an anticipation plan: they always answer 404."""
    revoked_share: float = 0.0
    """Stores that took their permission back: they always answer 403."""
    corrected_share: float = 0.02
    """Calculation periods of anticipations whose amounts are corrected some days later."""
    faults: FaultRates = FaultRates()

    def __post_init__(self) -> None:
        """Refuse what would fail later, and less clearly, with ValueError."""
        if not self.apps:
            raise ValueError("the simulator needs at least one application")
        if any(len(app.client_id) != 36 for app in self.apps):  # noqa: PLR2004 (a UUID's length)
            raise ValueError("a client id has 36 characters")
        if any(not 1 <= app.owners <= max(1, self.merchants) for app in self.apps):
            raise ValueError("an application has between one owner and one for each restaurant")

    def limit_of(self, group: Group) -> int | None:
        """Requests that one application may send to `group` in any `window_seconds`."""
        match group:
            case "financial":
                return self.financial_per_minute
            case "merchant":
                return self.merchant_per_minute
            case "oauth":
                return self.oauth_per_minute
