"""
A fake iFood API: a real HTTP server on loopback with seeded data, for demo, tests and load runs.

`serve` runs it in the foreground, `running` from a thread for the length of a `with` block. It
needs the extra `demo`.
"""

from ifood_simulator.faults import Fault
from ifood_simulator.handle import Simulator
from ifood_simulator.reading import fault_of, fault_rates_of, limits_of
from ifood_simulator.server import running, serve
from ifood_simulator.settings import ROUGH, App, FaultRates, Settings

__all__ = [
    "ROUGH",
    "App",
    "Fault",
    "FaultRates",
    "Settings",
    "Simulator",
    "fault_of",
    "fault_rates_of",
    "limits_of",
    "running",
    "serve",
]
