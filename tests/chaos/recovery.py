"""How long the fleet takes to be well again, measured against the figure that is promised."""

from collections.abc import Callable
from time import monotonic

from support.clock import eventually

RECOVERY = "recovery"  # the property of a test's report


class Recovery:
    """One scenario's stopwatch; it runs from the start of the test, or from `begin`."""

    def __init__(self, name: str, note: Callable[[str], None]) -> None:
        self._name = name
        self._note = note
        self._began = monotonic()

    def begin(self) -> None:
        """Count from now."""
        self._began = monotonic()

    def until(self, condition: Callable[[], object], *, figure: float) -> None:
        """Wait for recovery, at most `figure` seconds, and write down how long it took."""
        eventually(condition, within=figure)
        took = monotonic() - self._began
        self._note(f"{self._name}: {took:.1f} s (at most {figure:.0f} s)")
