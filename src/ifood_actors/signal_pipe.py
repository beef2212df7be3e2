"""
Waits that a signal ends: for the main threads of processes that run until they are told to stop.

An Event does not work: its lock may be held by the thread that a handler interrupts. A handler
alone does not work either: it does not run when the signal comes just as a wait begins.
So the interpreter writes each signal into a pipe, and the wait reads it.
"""

import os
import signal
from select import select


class SignalPipe:
    """The pipe; from the moment it is made, every signal that has a handler ends a `wait`."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write)

    def wait(self, seconds: float | None = None) -> bool:
        """Return True when a signal or `wake` ends it, False after so many seconds; None: never."""
        if not select([self._read], [], [], seconds)[0]:
            return False
        os.read(self._read, 1)
        return True

    def wake(self) -> None:
        """End a wait as a signal does; from any thread."""
        os.write(self._write, b"\0")

    def close(self) -> None:
        """Let signals write nowhere again. The handlers are their makers' to put back."""
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)
