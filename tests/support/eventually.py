"""The only place in which a test waits."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 120  # longer than anything takes on a busy machine: no figure to judge by
_LONGEST_STEP = 1.0  # seconds; a machine that stands still for longer stops the clock


def eventually(condition: Callable[[], T], *, within: float = PATIENCE_SECONDS) -> T:
    """Return the first true answer of `condition`; AssertionError after `within` seconds."""
    pause = threading.Event()
    waited, looked = 0.0, time.monotonic()
    while not (answer := condition()):
        if waited > within:
            raise AssertionError(f"not within {within} s; the last answer was {answer!r}")
        pause.wait(0.02)
        now = time.monotonic()
        waited, looked = waited + min(now - looked, _LONGEST_STEP), now
    return answer
