"""The only place in which a test waits."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 120  # longer than anything takes on a busy machine: no figure to judge by


def eventually(condition: Callable[[], T], *, within: float = PATIENCE_SECONDS) -> T:
    """Return the first true answer of `condition`; AssertionError after `within` seconds."""
    pause = threading.Event()
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s; the last answer was {answer!r}")
        pause.wait(0.02)
