"""
Keeps the workers' command running: `python -m ifood_actors.worker.supervision COMMAND...`.

`ifood-actors worker` becomes this process, with Dramatiq's command as its child: see
docs/decisions/0028-a-supervisor-stays-in-front-of-dramatiq.md. It sits beside every group of
workers, so it imports next to nothing: 11 MB of memory, 5 of them its own.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from types import FrameType

from ifood_actors.signal_pipe import SignalPipe

# Seconds. The pause doubles from the first to the longest, and is the first again after a time of
# health.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
HEALTHY_AFTER = 60.0
STOP_WITHIN = 29  # the contract says 30; Dramatiq's command is told 25

_WRONG_CONFIGURATION = 2  # trying again would not help; all other ends are tried again
_STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG = 1


class Supervisor:
    """One command and its process group; `run` belongs into the main thread of a process."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> int:
        """
        Run the command until a signal, and again whenever it ends by itself; return the exit code.

        TERM and INT are passed on once, as TERM, and the command's exit code is the answer. A
        second signal, or 29 s without an end, kills the whole group.
        """
        signals = SignalPipe()
        signal.signal(signal.SIGCHLD, lambda *_: None)  # so that it ends a wait
        for signum in _STOPPING_SIGNALS:
            signal.signal(signum, self._stop)
        signal.signal(signal.SIGALRM, self._kill)
        pause = FIRST_PAUSE
        while True:
            started = monotonic()
            code = self._run_once(signals)
            if self._stopping or code == _WRONG_CONFIGURATION:
                return code if code >= 0 else 1
            if monotonic() - started > HEALTHY_AFTER:
                pause = FIRST_PAUSE
            _log_end(code=code, again_in_seconds=pause)
            until = monotonic() + pause
            while (left := until - monotonic()) > 0:
                signals.wait(left)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _run_once(self, signals: SignalPipe) -> int:
        supervisor = os.getpid()
        # A signal comes before the start or after it, never between the fork and the assignment.
        # The command inherits the block, and ends it once it can stop cleanly.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING_SIGNALS)
        try:
            child = self._child = subprocess.Popen(  # noqa: S603 - the caller's own command
                self._command,
                process_group=0,  # a terminal's Ctrl-C must reach the workers once, by way of us
                preexec_fn=lambda: _die_with(supervisor),  # noqa: PLW1509 - there is one thread
            )
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING_SIGNALS)
        # Not reaped: its id stays taken.
        while not os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            signals.wait()
        _kill_group(child)  # what a killed command left behind
        self._child = None
        code = child.wait()
        # As process 1 of a container, this one is given the orphans.
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        return code

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        if self._child is None:
            sys.exit(0)
        if self._stopping:
            self._kill(signum, frame)
        self._stopping = True
        signal.alarm(STOP_WITHIN)
        self._child.terminate()

    def _kill(self, signum: int, _: FrameType | None) -> None:
        if self._child is not None:
            _kill_group(self._child)
        os._exit(128 + signum)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, however that comes (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    with suppress(OSError):  # some systems refuse when only a zombie is left in it
        os.killpg(child.pid, signal.SIGKILL)


def _log_end(**facts: object) -> None:
    from ifood_actors import logs  # noqa: PLC0415 - 10 MB, and most supervisors never need it

    logs.configure("info")
    logs.get_logger(__name__).warning("worker.ended", **facts)


if __name__ == "__main__":
    sys.exit(Supervisor(sys.argv[1:]).run())
