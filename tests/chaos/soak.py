"""
Tens of thousands of jobs through a fleet that is never left in peace for long.

`scripts/soak` calls it. Every few seconds something mild happens: a host is killed, connections are
cut, a server restarts, Postgres is slow, and iFood has a bad day throughout. In the end all that
`invariants` judges must be true, and what the hosts hold that were never killed must be flat.
"""

import argparse
import secrets
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from random import Random
from statistics import mean
from threading import Event
from time import monotonic
from typing import Any

from chaos.hosts import Host
from chaos.invariants import check
from chaos.world import World, world
from support.clock import eventually
from support.logins import PREFIX

from ifood_actors.embedded.postgres import PrivatePostgres
from ifood_actors.embedded.rabbitmq import PrivateRabbit
from ifood_simulator import FaultRates

RUN_EVERY = 60.0  # seconds
TROUBLE_EVERY = 15.0
SAMPLE_EVERY = 15.0
RATE = 6_000  # requests a minute
PEACE_AT_THE_END = timedelta(minutes=30)  # for what a slow machine has not done by then
# No 429: one of them stops the whole fleet for half a minute, as it should.
BAD_DAY = FaultRates(server_error=0.02, bad_gateway=0.01, cut=0.01, slow=0.01)
FLAT = 1.10  # the most that the last quarter may hold, compared with the most before


@dataclass
class Sample:
    """What is held at one instant, by hosts that were never killed and in the servers."""

    mib: float
    files: int
    connections: int  # to Postgres
    channels: int  # of RabbitMQ, of which each has a connection


@dataclass
class Soak:
    world: World
    random: Random
    done: dict[str, int] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    def trouble(self) -> None:
        weights = {
            self.kill_a_worker: 4,
            self.kill_a_scheduler: 2,
            self.cut_connections: 4,
            self.slow_postgres: 2,
            self.restart_postgres: 1,
            self.restart_rabbitmq: 1,
        }
        [act] = self.random.choices(list(weights), list(weights.values()))
        name = act.__name__
        self.done[name] = self.done.get(name, 0) + 1
        act()

    def kill_a_worker(self) -> None:
        self._kill(self.world.of("worker")[1])

    def kill_a_scheduler(self) -> None:
        self._kill(self.world.of("scheduler")[1])

    def cut_connections(self) -> None:
        self.world.cut(self.random.choice(("database", "broker", "api")))

    def slow_postgres(self) -> None:
        for delay in (0.02, 0.0):
            for proxy in self.world.proxies("database"):
                proxy.delay = delay
            Event().wait(3)

    def restart_postgres(self) -> None:
        self.world.postgres.restart()
        self.world.engine.dispose()

    def restart_rabbitmq(self) -> None:
        self.world.rabbit.restart()

    def sample(self) -> None:
        processes = [
            process
            for role in ("scheduler", "worker")
            for process in self.world.of(role)[0].running.processes()
        ]
        [row] = self.world.rows(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()"
        )
        overview: Any = self.world.rabbit.management.get("/api/overview")
        self.samples.append(
            Sample(
                mib=sum(map(_resident_mib, processes)),
                files=sum(len(list((process / "fd").iterdir())) for process in processes),
                connections=row["n"],
                channels=overview["object_totals"]["channels"],
            )
        )

    def _kill(self, host: Host) -> None:
        host.kill()
        host.start()


def main() -> int:
    """Soak; exit code 1 when something grew, and an AssertionError when something is wrong."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of the ends below
    runs = max(1, round(options.minutes * 60 / RUN_EVERY))
    with ExitStack() as stack:
        postgres = stack.enter_context(PrivatePostgres())
        rabbit = stack.enter_context(PrivateRabbit())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{PREFIX}soak_")))
        built = stack.enter_context(
            world(
                folder,
                postgres=postgres,
                rabbit=rabbit,
                stores=-(-options.jobs // runs),
                rate=RATE,
                faults=BAD_DAY,
            )
        )
        soak = Soak(built, Random(options.seed))
        _play(soak, runs)
        built.heal()
        eventually(
            lambda: not built.rows("SELECT FROM ifood_jobs WHERE status IN ('pending', 'running')"),
            within=PEACE_AT_THE_END.total_seconds(),
        )
        check(built)
        return _report(soak)


def _play(soak: Soak, runs: int) -> None:
    begun = monotonic()
    ticks = [
        (TROUBLE_EVERY, soak.trouble),
        (SAMPLE_EVERY, soak.sample),
        (RUN_EVERY, lambda: soak.world.plan(over=timedelta(seconds=0.9 * RUN_EVERY))),
    ]
    due = [TROUBLE_EVERY, SAMPLE_EVERY, 0.0]
    while (passed := monotonic() - begun) < runs * RUN_EVERY:
        for number, (every, act) in enumerate(ticks):
            if due[number] <= passed:
                due[number] += every
                act()
        print(f"\r{passed / 60:.1f} min {_progress(soak.world)}", end="", file=sys.stderr)
        Event().wait(1)
    print(file=sys.stderr)


def _report(soak: Soak) -> int:
    jobs = sum(soak.world.progress().values())
    print(f"{jobs:,} jobs, each in one final state; records equal the truth; the limit was kept")
    print("troubles: " + ", ".join(f"{name} {n}" for name, n in sorted(soak.done.items())))
    last = -(-len(soak.samples) // 4)
    grown = 0
    for name in ("mib", "files", "connections", "channels"):
        course = [getattr(sample, name) for sample in soak.samples]
        before, after = max(course[:-last]), max(course[-last:])
        grown += after > FLAT * before
        print(
            f"{name}: at most {before:.0f} until the last quarter, {after:.0f} in it; "
            f"mean {mean(course):.0f}"
        )
    return 1 if grown else 0


def _progress(built: World) -> str:
    return ", ".join(f"{status} {n:,}" for status, n in sorted(built.progress().items()))


def _resident_mib(process: Path) -> float:
    return int((process / "statm").read_text().split()[1]) * 4096 / 2**20


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--seed", default=secrets.token_hex(4), help="of the troubles' order")
    options = parser.parse_args()
    print(f"seed {options.seed}", file=sys.stderr)
    return options


if __name__ == "__main__":
    raise SystemExit(main())
