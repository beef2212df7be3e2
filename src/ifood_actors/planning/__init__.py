"""
Which run is due, and when each of its jobs starts.

`cadence`, `idling` and `pacing` decide and do no I/O; `planner` reads and writes, and
`idle_accounts` reads. They are not imported here, so that what decides loads no database code.
"""

__all__ = ["cadence", "idle_accounts", "idling", "pacing", "planner"]
