"""
Keeps a command running: what `ifood-actors worker` becomes, with Dramatiq's command as its child.

Dramatiq's command ends as a whole when one of its processes dies, and nothing in it starts again.
Run as `python -m ifood_actors.worker.supervision COMMAND...`; it sits beside every group of
workers, so it imports next to nothing: 11 MB of memory, 5 of them its own.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from select import select
from time import monotonic
from types import FrameType

# Seconds. The pause doubles from the first to the longest, and starts anew after a time of health.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
HEALTHY_AFTER = 60.0
STOP_WITHIN = 29  # the contract says 30; Dramatiq's command is told 25

_WRONG_CONFIGURATION = 2  # trying again would not help; all other ends are tried again
_TOLD = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG = 1


class Supervisor:
    """One command and its process group; `run` belongs into the main thread of a process."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._told = -1

    def run(self) -> int:
        """
        Run the command until a signal, and again whenever it ends by itself; give the exit code.

        TERM and INT are passed on once, as TERM, and the command's exit code is the answer. A
        second signal, or 29 s without an end, kills the whole group.
        """
        # Written by the signals themselves: a handler does not run when one comes just as a wait
        # begins.
        self._told, tell = os.pipe()
        os.set_blocking(tell, False)
        signal.set_wakeup_fd(tell)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # it is to be written, too
        for signum in _TOLD:
            signal.signal(signum, self._stop)
        signal.signal(signal.SIGALRM, self._kill)
        pause = FIRST_PAUSE
        while True:
            started = monotonic()
            code = self._run_once()
            if self._stopping or code == _WRONG_CONFIGURATION:
                return code if code >= 0 else 1
            if monotonic() - started > HEALTHY_AFTER:
                pause = FIRST_PAUSE
            _say("worker.ended", code=code, again_in_seconds=pause)
            self._rest(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _run_once(self) -> int:
        supervisor = os.getpid()
        # A signal comes before the start or after it, never between the fork and the assignment.
        # The command inherits the block, and ends it once it can stop cleanly.
        with _signals_held_back():
            child = self._child = subprocess.Popen(  # noqa: S603 - the caller's own command
                self._command,
                process_group=0,  # a terminal's Ctrl-C must reach the workers once, by way of us
                preexec_fn=lambda: _die_with(supervisor),  # noqa: PLW1509 - there is one thread
            )
        # Not reaped: its id stays taken.
        while not os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            os.read(self._told, 1)
        _kill_group(child)  # what a killed command left behind
        self._child = None
        code = child.wait()
        _reap_inherited()
        return code

    def _rest(self, seconds: float) -> None:
        until = monotonic() + seconds
        while (left := until - monotonic()) > 0:
            if select([self._told], [], [], left)[0]:
                os.read(self._told, 1)

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


def _reap_inherited() -> None:
    """As process 1 of a container, this one is given whoever has lost its parent."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


@contextmanager
def _signals_held_back() -> Iterator[None]:
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _TOLD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _say(event: str, **facts: object) -> None:
    from ifood_actors import logs  # noqa: PLC0415 - 10 MB, and most supervisors never need it

    logs.configure("info")
    logs.get_logger(__name__).warning(event, **facts)


if __name__ == "__main__":
    sys.exit(Supervisor(sys.argv[1:]).run())
