"""A running simulator in the hands of a test or the demo."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import date
from typing import ParamSpec, TypeVar

from ifood_simulator.faults import Fault
from ifood_simulator.merchants import Merchant
from ifood_simulator.sales import Json
from ifood_simulator.settings import Group, Settings
from ifood_simulator.simulation import Simulation
from ifood_simulator.truth import summary_of, truth_of

P = ParamSpec("P")
T = TypeVar("T")
_PATIENCE_SECONDS = 60.0


class Simulator:
    """
    The control endpoints as methods; each may be called from any thread but the server's own.

    What a method promises is written at its namesake in `Simulation`.
    """

    def __init__(self, simulation: Simulation, url: str, loop: asyncio.AbstractEventLoop) -> None:
        self.url = url
        self._simulation = simulation
        self._loop = loop

    @property
    def settings(self) -> Settings:
        return self._simulation.settings

    @property
    def today(self) -> date:
        return self._simulation.today

    def state(self) -> Json:
        return self._call(self._simulation.state)

    def merchants(self) -> list[Merchant]:
        return self._call(self._simulation.merchants)

    def accounts_csv(self) -> str:
        return self._call(self._simulation.accounts_csv)

    def set_today(self, today: date) -> None:
        self._call(self._simulation.set_today, today)

    def set_limits(self, limits: Mapping[Group, int | None]) -> None:
        self._call(self._simulation.set_limits, limits)

    def add_fault(self, fault: Fault) -> None:
        self._call(self._simulation.add_fault, fault)

    def clear_faults(self) -> None:
        self._call(self._simulation.clear_faults)

    def link(self, merchant: str) -> None:
        self._call(self._simulation.link, merchant)

    def unlink(self, merchant: str) -> None:
        self._call(self._simulation.unlink, merchant)

    def authorize(self, user_code: str, merchants: frozenset[str] | None = None) -> str:
        return self._call(self._simulation.authorize, user_code, merchants)

    def journal_since(self, sequence: int = 0) -> list[Json]:
        return self._call(self._simulation.journal_since, sequence)

    def stats(self) -> Json:
        return self._call(self._simulation.stats)

    def truth(self, kind: str, merchant: str, begin: date, end: date) -> bytes:
        """Return what `truth.truth` describes; empty for a store that is revoked."""
        return self._call(truth_of, self._simulation, kind, merchant, (begin, end))

    def truth_summary(self, kind: str, begin: date, end: date) -> list[Json]:
        """Return the lines of all stores that `truth.summaries` describes."""
        collecting = summary_of(self._simulation, kind, (begin, end))
        return asyncio.run_coroutine_threadsafe(collecting, self._loop).result(_PATIENCE_SECONDS)

    def reset(self) -> None:
        self._call(self._simulation.reset)

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it where the requests run, since nothing of a Simulation is thread-safe."""

        async def call() -> T:
            return function(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(_PATIENCE_SECONDS)
