"""Trouble that comes by itself, at the rates of the settings, the same in every run."""

from collections import Counter

from ifood_simulator.draws import stream, unit
from ifood_simulator.faults import Fault
from ifood_simulator.settings import Settings

_GATEWAY = (502, 503, 504)


class RandomFaults:
    """Counts the requests of each store and resource; the count decides, with the seed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._numbers: Counter[tuple[str, str]] = Counter()

    def draw(self, whose: str, resource: str) -> tuple[float, Fault | None]:
        """The latency in seconds and the fault, if any, of the next request of `whose`."""
        number = self._numbers[whose, resource]
        self._numbers[whose, resource] += 1
        return self._latency(whose, resource, number), self._fault(whose, resource, number)

    def _latency(self, whose: str, resource: str, number: int) -> float:
        mean = self._settings.latency_seconds
        if not mean:
            return 0.0
        rng = stream(self._settings.seed, "latency", whose, resource, number)
        return rng.expovariate(1 / mean)

    def _fault(self, whose: str, resource: str, number: int) -> Fault | None:
        rates = self._settings.faults
        gateway = _GATEWAY[number % len(_GATEWAY)]
        chance = unit(self._settings.seed, "fault", whose, resource, number)
        for rate, fault in (
            (rates.server_error, Fault("status", status=500)),
            (rates.bad_gateway, Fault("status", status=gateway, body="html")),
            (rates.throttled, Fault("status", status=429)),
            (rates.cut, Fault("cut")),
            (rates.slow, Fault("slow", seconds=rates.slow_seconds)),
        ):
            if chance < rate:
                return fault
            chance -= rate
        return None
