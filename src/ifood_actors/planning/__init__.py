"""
Which run is due, and when each of its jobs starts.

`cadence`, `idling` and `pacing` decide and do no I/O; `planner` reads and writes. They are not
imported here, so that what decides loads no database code.
"""

__all__ = ["cadence", "idling", "pacing", "planner"]
