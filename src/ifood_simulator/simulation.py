"""The simulator's state and its controls: what `/_simulator/` and `Simulator` both call."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from time import monotonic
from zoneinfo import ZoneInfo

from ifood_simulator.accounts_csv import accounts_csv
from ifood_simulator.faults import ActiveFaults, Fault
from ifood_simulator.journal import Journal
from ifood_simulator.limits import Limits
from ifood_simulator.links import Links
from ifood_simulator.merchants import Merchant
from ifood_simulator.oauth import Grants
from ifood_simulator.random_faults import RandomFaults
from ifood_simulator.sales import Json
from ifood_simulator.settings import GROUPS, App, Group, Settings
from ifood_simulator.world import World

_IFOOD_ZONE = ZoneInfo("America/Sao_Paulo")


class Simulation:
    """One simulated iFood. Not thread-safe: everything runs on the server's event loop."""

    def __init__(self, settings: Settings, faults: Iterable[Fault] = ()) -> None:
        """`faults` are on from the start; raises ValueError for one of an unknown merchant."""
        self.settings = settings
        self.world = World(settings)
        self._first_faults = tuple(faults)
        self.reset()

    def reset(self) -> None:
        """As freshly started: today, limits, faults, journal, counts, and no token is valid."""
        settings = self.settings
        limits = {group: settings.limit_of(group) for group in GROUPS}
        self._today = settings.today
        self.limits = Limits(limits, window=settings.window_seconds)
        self.grants = Grants(settings)
        self.links = Links(spread_seconds=settings.spread_seconds)
        self._turns: Counter[str] = Counter()
        self.faults = ActiveFaults()
        for fault in self._first_faults:
            self.add_fault(fault)
        self.random_faults = RandomFaults(settings)
        self.journal = Journal()

    @property
    def today(self) -> date:
        """The day of the simulated world; the calendar's, unless one was set."""
        return self._today or datetime.now(_IFOOD_ZONE).date()

    def set_today(self, today: date) -> None:
        self._today = today

    def set_limits(self, limits: Mapping[Group, int | None]) -> None:
        """Change the limits of the named groups; None lifts one."""
        for group, limit in limits.items():
            self.limits.set(group, limit)

    def add_fault(self, fault: Fault) -> None:
        """Set a switch; raises ValueError for a merchant that this world does not have."""
        if fault.merchant is not None:
            self.merchant(fault.merchant)
        self.faults.add(fault)

    def clear_faults(self) -> None:
        self.faults.clear()

    def revoked(self, merchant: Merchant) -> bool:
        """Whether the store refuses every request, by its nature or by a lasting fault."""
        return (
            merchant.revoked or self.faults.revoked(merchant.id) or self.links.unlinked(merchant.id)
        )

    def link(self, merchant: str) -> None:
        """Link a store, which then spreads; raises ValueError for an unknown one."""
        self.links.link(self.merchant(merchant).id, at=monotonic())

    def unlink(self, merchant: str) -> None:
        """Take a store from its application; raises ValueError for an unknown one."""
        self.links.unlink(self.merchant(merchant).id)

    def authorize(self, user_code: str, merchants: frozenset[str] | None = None) -> str:
        """
        Confirm a userCode as an owner does: for those stores, or all that the owner has.

        Owners take turns. Gives the authorisation code; raises `oauth.OAuthError` for an unknown or
        expired userCode.
        """
        app = self.grants.app_of(user_code)
        if merchants is None and app is not None:
            merchants = self._stores_of_next_owner(app)
        now = monotonic()
        code = self.grants.authorize(user_code, merchants or frozenset(), at=now)
        for merchant in merchants or ():
            self.links.link(merchant, at=now)
        return code

    def state(self) -> Json:
        return {
            "seed": self.settings.seed,
            "merchants": len(self.world.roster),
            "today": str(self.today),
            "limits": self.limits.limits(),
            "window_seconds": self.limits.window,
            "apps": [
                {"name": app.name, "client_id": app.client_id, "kind": app.kind}
                for app in self.settings.apps
            ],
            "quirks": self.faults.listed(),
        }

    def merchants(self) -> list[Merchant]:
        """Every store with its traits, in the order of their numbers."""
        return list(self.world.roster)

    def accounts_csv(self) -> str:
        return accounts_csv(self.world.roster)

    def journal_since(self, sequence: int = 0) -> list[Json]:
        """What was asked after entry number `sequence`, oldest first."""
        return self.journal.since(sequence)

    def stats(self) -> Json:
        """Counts by application and group, and the access tokens given out."""
        return {
            "window_seconds": self.limits.window,
            "groups": self.limits.stats(),
            "tokens_issued": dict(self.grants.issued),
        }

    def merchant(self, id_: str) -> Merchant:
        """Return a store by its id; raises ValueError for one that this world does not have."""
        found = self.world.roster.find(id_)
        if found is None:
            raise ValueError(f"unknown merchant {id_!r}")
        return found

    def _stores_of_next_owner(self, app: App) -> frozenset[str]:
        owner = self._turns[app.client_id] % app.owners
        self._turns[app.client_id] += 1
        stores = self.world.roster.of(app)
        return frozenset(store.id for store in stores[owner :: app.owners])
