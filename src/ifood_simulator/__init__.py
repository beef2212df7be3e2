"""
A fake iFood API: a real HTTP server on loopback with seeded data, for tests, demos and load runs.

`running` serves from a thread for the length of a `with` block, `serve` in the foreground;
`command` is the program. Nothing of `ifood_actors` is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ifood_simulator.faults import Fault
    from ifood_simulator.handle import Simulator
    from ifood_simulator.reading import fault_from, fault_of, fault_rates_of, limits_of
    from ifood_simulator.server import running, serve
    from ifood_simulator.settings import ROUGH, App, FaultRates, Settings

_MODULES = {
    "ROUGH": "settings",
    "App": "settings",
    "Fault": "faults",
    "FaultRates": "settings",
    "Settings": "settings",
    "Simulator": "handle",
    "fault_from": "reading",
    "fault_of": "reading",
    "fault_rates_of": "reading",
    "limits_of": "reading",
    "running": "server",
    "serve": "server",
}

__all__ = [
    "ROUGH",
    "App",
    "Fault",
    "FaultRates",
    "Settings",
    "Simulator",
    "command",
    "errors",
    "fault_from",
    "fault_of",
    "fault_rates_of",
    "limits_of",
    "running",
    "serve",
]


def __getattr__(name: str) -> object:
    """Import a name when it is asked for: `command` must not load a web server for its help."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
