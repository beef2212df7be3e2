"""What is compared: our own system, and others that a user might take or build instead."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path
from subprocess import PIPE, STDOUT, run
from tempfile import TemporaryDirectory
from typing import Protocol

import psycopg

from ifood_actors.config.loading import child_environment
from ifood_actors.errors import IfoodActorsError
from ifood_actors.ifood.http import AppCredentials
from scripts.benchmarks import runs
from scripts.benchmarks.environment import (
    Services,
    add_accounts,
    empty_place,
    register,
    start_environment,
)
from scripts.benchmarks.jobs import PROCESSES, THREADS, Pace, due, pace
from scripts.benchmarks.kill import (
    JOB_SECONDS,
    Aftermath,
    count_losses,
    kill_in_the_middle,
    kill_ours,
)
from scripts.benchmarks.peers.installed import installed_python, versions
from scripts.benchmarks.worker_processes import (
    IDLE,
    SECONDS,
    UNPACED,
    TooSlow,
    WorkerProcesses,
    run_host,
    run_workers,
)

_PROGRAMS = Path(__file__).with_name("programs")
AT_A_TIME = PROCESSES * THREADS


@dataclass(frozen=True)
class Killed:
    """What one of two workers left behind; without aftermath, some jobs did not come back."""

    aftermath: Aftermath | None
    lost: int
    doubled: int


class Peer(Protocol):
    """
    A system that runs jobs.

    `records` says what it records of a job, `workers` how those run that work on up to 20 jobs at a
    time.
    """

    @property
    def name(self) -> str: ...
    @property
    def records(self) -> str: ...
    @property
    def workers(self) -> str: ...

    def run(self, on: Services, jobs: int, *, seconds: float) -> Pace:
        """Run waiting jobs, each of which waits for `seconds`."""
        ...

    def kill(self, on: Services, jobs: int) -> Killed:
        """Kill one of two workers with ten jobs at a time each, in the middle of jobs of 50 ms."""
        ...


class Ours:
    name = "ours"
    records = (
        "the job's row with its result; a row of history for each act; data and success in one "
        "transaction"
    )
    workers = f"{PROCESSES} processes of {THREADS} threads"

    def run(self, on: Services, jobs: int, *, seconds: float) -> Pace:
        with due(on, jobs) as here:
            variables = child_environment(here.settings) | {UNPACED: "1", SECONDS: str(seconds)}
            with run_workers(IDLE, variables, processes=PROCESSES, threads=THREADS) as workers:
                parts = {**on.pids(), "workers": workers.pid}
                return pace(parts, jobs, lambda: runs.count(here, "success"))

    def kill(self, on: Services, jobs: int) -> Killed:
        with start_environment(on) as here:
            register(here, AppCredentials("bench", "bench"))
            add_accounts(here.engine, jobs)
            aftermath = kill_ours(here, jobs)
            counted = count_losses(here)
            return Killed(aftermath, counted.lost, counted.doubled)


@dataclass(frozen=True)
class Other:
    """
    A system of others, run by a program of the folder `programs`.

    `done` is a query that counts the jobs that are. `at_a_time` is 0 where nothing limits it.
    """

    name: str
    program: str
    records: str
    workers: str
    done: str
    processes: int = 1
    at_a_time: int = AT_A_TIME
    uses_rabbitmq: bool = False

    def run(self, on: Services, jobs: int, *, seconds: float) -> Pace:
        with _place(self, on, seconds=seconds) as here, ExitStack() as running:
            here.enqueue(jobs)
            workers = {
                f"workers {number}": running.enter_context(here.worker(self.processes)).pid
                for number in range(self.processes)
            }
            servers = on.pids()
            if not self.uses_rabbitmq:
                servers.pop("RabbitMQ", None)
            return pace({**servers, **workers}, jobs, here.done)

    def kill(self, on: Services, jobs: int) -> Killed:
        with (
            TemporaryDirectory() as folder,
            _place(self, on, seconds=JOB_SECONDS, ended=Path(folder) / "ended") as here,
        ):
            here.enqueue(jobs)
            with here.worker(2) as victim, here.worker(2):
                try:
                    aftermath = kill_in_the_middle(victim, jobs, here.done)
                except TooSlow:
                    if here.done() < jobs / 2:
                        raise
                    aftermath = None
            return Killed(aftermath, lost=jobs - here.done(), doubled=here.doubled())


@dataclass(frozen=True)
class _Place:
    """One of the others in a database and a vhost of its own."""

    peer: Other
    command: list[str | Path]
    variables: dict[str, str]
    connection: psycopg.Connection
    ended: Path | None

    def prepare(self) -> None:
        self._call("prepare")

    def enqueue(self, jobs: int) -> None:
        self._call("enqueue", str(jobs))

    @contextmanager
    def worker(self, share: int) -> Iterator[WorkerProcesses]:
        """Run a process that takes its share, such as half, of the jobs at a time."""
        at_a_time = self.peer.at_a_time // share
        with run_host([*self.command, "work", str(at_a_time)], self.variables) as host:
            yield host

    def done(self) -> int:
        row = self.connection.execute(self.peer.done.encode()).fetchone()
        return row[0] if row else 0

    def doubled(self) -> int:
        """Count the jobs whose work came to its end more than once."""
        times = Counter(self.ended.read_text().split() if self.ended else [])
        return sum(number > 1 for number in times.values())

    def _call(self, *what: str) -> None:
        ended = run(  # noqa: S603 - our own program
            [*self.command, *what],
            env=self.variables,
            stdout=PIPE,
            stderr=STDOUT,
            text=True,
            check=False,
        )
        if ended.returncode:
            raise IfoodActorsError(f"{self.peer.program}: {ended.stdout.strip()[-500:]}")


@contextmanager
def _place(
    peer: Other, on: Services, *, seconds: float, ended: Path | None = None
) -> Iterator[_Place]:
    """Lend it; its jobs wait for `seconds`, and note in the file `ended` that they have."""
    command: list[str | Path] = [installed_python(), _PROGRAMS / peer.program]
    with (
        empty_place(on) as (database_url, broker_url),
        psycopg.connect(database_url, autocommit=True) as connection,
    ):
        variables = {
            **environ,
            "PYTHONPATH": str(_PROGRAMS),
            "PEER_DATABASE_URL": database_url,
            "PEER_BROKER_URL": broker_url,
            "PEER_SECONDS": str(seconds),
            "PEER_ENDED": str(ended or ""),
        }
        place = _Place(peer, command, variables, connection, ended)
        place.prepare()
        yield place


def peers() -> list[Peer]:
    """List ours, and the others in the versions that are pinned."""
    pinned = versions()
    return [
        Ours(),
        Other(
            name=f"procrastinate {pinned['procrastinate']}",
            program="on_procrastinate.py",
            records="the job's row; a row of history for each change",
            workers=f"{PROCESSES} processes of {THREADS} coroutines",
            processes=PROCESSES,
            done="""
                SELECT count(*) FROM procrastinate_jobs
                WHERE task_name = 'wait' AND status = 'succeeded'
            """,
        ),
        *(
            Other(
                name=f"pgqueuer {pinned['pgqueuer']}{name}",
                program="on_pgqueuer.py",
                records="a row of history for start and end, the ends in batches; the job's row is "
                "deleted",
                workers=f"1 process, {workers}",
                done="SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'",
                at_a_time=at_a_time,
            )
            for name, workers, at_a_time in (
                ("", f"{AT_A_TIME} coroutines", AT_A_TIME),
                (", without a limit", "any number of coroutines", 0),
            )
        ),
        Other(
            name=f"Dramatiq {pinned['dramatiq']} with a status row",
            program="on_dramatiq.py",
            records="the job's row, changed at start and end",
            workers=f"{PROCESSES} processes of {THREADS} threads",
            done="SELECT count(*) FROM statuses WHERE status = 'done'",
            processes=PROCESSES,
            uses_rabbitmq=True,
        ),
    ]
