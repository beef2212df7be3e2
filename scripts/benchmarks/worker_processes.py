"""Worker processes of a command, most often `dramatiq`, for the length of a block."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from signal import SIGKILL, SIGTERM
from threading import Event
from time import monotonic

from ifood_actors.embedded.processes import PrivateFolder, last_lines
from ifood_actors.errors import IfoodActorsError
from scripts.benchmarks.machine import children, command_line, resident_mib

# The real composition, asking the API of the settings.
REAL = "ifood_actors.worker"
# The same, but each answer of the API is "nothing", without HTTP.
IDLE = "scripts.benchmarks.idle_worker"
UNPACED = "BENCH_UNPACED"
# How long each job waits, in seconds; 0 without it.
SECONDS = "BENCH_SECONDS"
# Dramatiq's own broker, with an actor that does nothing.
STOCK = "scripts.benchmarks.stock_worker"
STOCK_URL = "BENCH_STOCK_BROKER_URL"
# A file to which it adds the id of each job that is done.
STOCK_DONE = "BENCH_STOCK_DONE"

_STOP = timedelta(seconds=30)
_LOG = "workers.log"


class TooSlow(IfoodActorsError):
    """What was waited for did not come: the figure could not be measured."""


@dataclass(frozen=True)
class WorkerProcesses:
    """`pid` is the command's; its children run the jobs."""

    pid: int

    def resident_mib(self) -> float:
        """Give the memory of the largest of the processes that run jobs."""
        return max(map(resident_mib, _workers_of(self.pid)), default=0.0)

    def kill(self) -> None:
        """Kill all of it at once, as a power cut would."""
        for pid in (self.pid, *children(self.pid)):
            os.kill(pid, SIGKILL)


@contextmanager
def run_workers(
    module: str, environment: Mapping[str, str], *, processes: int, threads: int
) -> Iterator[WorkerProcesses]:
    """Run worker processes of this project's environment, as `run_host` does."""
    command = [
        *(sys.executable, "-m", "dramatiq", module, "--skip-logging"),
        *("--processes", str(processes), "--threads", str(threads)),
        *("--worker-shutdown-timeout", "10000"),
    ]
    with run_host(command, {**environment, "PYTHONPATH": str(Path.cwd())}) as host:
        yield host


@contextmanager
def run_host(
    command: Sequence[str | Path], environment: Mapping[str, str]
) -> Iterator[WorkerProcesses]:
    """
    Run a command that runs jobs, and logs to a file; TERM stops it, after 30 s SIGKILL.

    The end of its log is added to a TooSlow from the block.
    """
    with PrivateFolder("ifood-bench") as folder:
        workers = folder.start(command, env=environment, log=_LOG)
        try:
            yield WorkerProcesses(workers.pid)
        except TooSlow as error:
            raise TooSlow(
                f"{error}; the workers' last words: {last_lines(folder.path / _LOG)}"
            ) from None
        finally:
            jobs = _workers_of(workers.pid)
            folder.end(workers, SIGTERM, within=_STOP)
            _end_orphans(jobs)


def wait_until(
    condition: Callable[[], bool], *, within: float, what: str, every: float = 0.2
) -> None:
    """Look every now and then; raises TooSlow after `within` seconds."""
    give_up = monotonic() + within
    while not condition():
        if monotonic() > give_up:
            raise TooSlow(f"{what}: not within {within:.0f} s")
        Event().wait(every)


def _workers_of(command: int) -> list[int]:
    return [pid for pid in children(command) if "resource_tracker" not in command_line(pid)]


def _end_orphans(workers: list[int]) -> None:
    """Kill what outlived its command: it has not stopped within the promised 30 s."""
    for pid in workers:
        if "dramatiq" in command_line(pid):
            print(f"worker {pid} had to be killed, {_STOP} after TERM", file=sys.stderr)
            os.kill(pid, SIGKILL)
