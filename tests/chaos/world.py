"""
A fleet of real processes in a small world that can be broken.

Two schedulers and two worker hosts, each behind proxies of its own to a real Postgres, a real
RabbitMQ and the simulated iFood. Waits are shortened by settings: a lease of 3 s instead of 60.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from time import monotonic, time
from typing import Any, Literal, NamedTuple

from chaos.hosts import LEASE, Host, Leg, Role, make_host
from chaos.proxy import Direction, Mode, Proxy, Trigger, network
from sqlalchemy import Engine, text
from support.clock import eventually
from support.logins import add_users, permit
from support.rows import Queried
from support.world import owned_database, register

from ifood_actors.config import Settings
from ifood_actors.db import connect, transaction
from ifood_actors.embedded.postgres import PrivatePostgres
from ifood_actors.embedded.rabbitmq import PrivateRabbit
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Opening
from ifood_simulator import FaultRates, Simulator
from ifood_simulator import Settings as IfoodSettings
from ifood_simulator import running as simulating

STORES = 24
RATE = 1200  # requests a minute
NO_FAULTS = FaultRates()
TODAY = datetime.now(UTC).date()
FIRST = TODAY - timedelta(days=10)  # of the scenarios, which go backward; iFood keeps 90 days
COUNTED = timedelta(seconds=6)  # the simulator's minute: all runs last longer than one


class Asked(NamedTuple):
    """A request to iFood, as it passed a host's proxy."""

    at: float  # seconds since 1970
    host: str
    path: str


@dataclass
class World(Queried):
    engine: Engine  # past all proxies
    database_url: str
    broker_url: str
    simulator: Simulator
    postgres: PrivatePostgres
    rabbit: PrivateRabbit
    settings: Settings
    rate: int  # requests a minute
    hosts: dict[str, Host] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    runs: list[tuple[str, date]] = field(default_factory=list)
    stalls: list[float] = field(default_factory=list)  # of the machine since the last plan, seconds

    @property
    def allowed(self) -> int:
        """What may be asked for in 6 s, plus the limiter's 2 s of lateness and delivery."""
        return int(self.rate * (COUNTED.total_seconds() + 2) / 62) + 1

    def of(self, role: Role) -> list[Host]:
        return [host for host in self.hosts.values() if host.role == role]

    def proxies(self, leg: Leg, role: Role | None = None) -> list[Proxy]:
        return [host.proxies[leg] for host in self.hosts.values() if role in (None, host.role)]

    def set(self, mode: Mode, leg: Leg, role: Role | None = None) -> None:
        for proxy in self.proxies(leg, role):
            proxy.set(mode)

    def cut(self, leg: Leg, role: Role | None = None) -> None:
        for proxy in self.proxies(leg, role):
            proxy.cut()

    def arm(
        self,
        role: Role,
        leg: Leg,
        patterns: tuple[bytes, ...],
        direction: Direction,
        when: Literal["before", "after"],
        act: Callable[[Host], object],
    ) -> Trigger:
        """Let whichever host of a role first sends, or is sent, the patterns suffer `act`."""
        trigger = Trigger(patterns, direction, when, lambda name: act(self.hosts[name]))
        for proxy in self.proxies(leg, role):
            proxy.arm(trigger)
        return trigger

    def plan(
        self,
        kind: str = "sales",
        *,
        over: timedelta = timedelta(seconds=1),
        planners: int = 1,
    ) -> None:
        """Plan a run of all stores, starting now, for a day that has none; all planners at once."""
        day = FIRST - timedelta(days=len(self.runs))
        self.runs.append((kind, day))
        self.stalls.clear()
        now = datetime.now(UTC)
        wanted = planner.PlanRequest(Opening(kind, day, now, now + over), self.settings)
        with ThreadPoolExecutor(planners) as threads, self._no_new_run() as begin:
            done = [
                threads.submit(planner.plan, self.engine, wanted, actor="test")
                for _ in range(planners)
            ]
            eventually(lambda: self._waiting() == planners)
            begin()
        for each in done:
            each.result()

    @contextmanager
    def _no_new_run(self) -> Iterator[Callable[[], None]]:
        """Hold all planners back between their choice of stores and their first row."""
        with self.engine.connect() as connection, connection.begin() as tx:
            connection.execute(text("LOCK TABLE ifood_runs IN SHARE MODE"))
            yield tx.rollback

    def _waiting(self) -> int:
        [row] = self.rows(
            "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database() AND application_name = 'chaos'"
        )
        return int(row["n"])

    def write(self, statement: str, **values: object) -> None:
        with transaction(self.engine) as tx:
            tx.execute(text(statement), values)

    def jobs(self, *statuses: str) -> list[dict[str, Any]]:
        """Give the jobs of the last run, those with one of the statuses when some are given."""
        kind, day = self.runs[-1]
        return self.rows(
            "SELECT * FROM ifood_jobs WHERE job_type = :kind AND job_day = :day"
            " AND (cardinality(CAST(:statuses AS text[])) = 0 OR status = ANY(:statuses))"
            " ORDER BY scheduled_for",
            kind=kind,
            day=day,
            statuses=list(statuses),
        )

    def count(self, *statuses: str) -> int:
        return len(self.jobs(*statuses))

    def progress(self) -> dict[str, int]:
        """Count the jobs of all runs by status."""
        rows = self.rows("SELECT status, count(*) AS n FROM ifood_jobs GROUP BY status")
        return {row["status"]: row["n"] for row in rows}

    def idle(self) -> bool:
        return not self.jobs("pending", "running")

    def finish(self) -> None:
        eventually(self.idle)

    def claims(self, *, since: float, host: Host | None = None) -> int:
        """Count claims since an instant (seconds since 1970): all, or those of one host."""
        [row] = self.rows(
            "SELECT count(*) AS n FROM ifood_job_events"
            " WHERE act = 'claim' AND at > to_timestamp(:since)"
            " AND (CAST(:actors AS text[]) IS NULL OR actor = ANY(:actors))",
            since=since,
            actors=None if host is None else list(host.actors),
        )
        return int(row["n"])

    def held_by(self, host: Host) -> int:
        """Count the jobs that a host runs, or ran when it died."""
        [row] = self.rows(
            "SELECT count(*) AS n FROM ifood_jobs WHERE status = 'running'"
            " AND locked_by = ANY(:actors)",
            actors=list(host.actors),
        )
        return int(row["n"])

    def work(self, *hosts: Host, since: float) -> bool:
        """Tell whether each has claimed jobs since an instant; until then there are some."""
        done = all(self.claims(since=since, host=host) for host in hosts)
        if not done and self.idle():
            self.plan()
        return done

    def heal(self) -> None:
        """Undo whatever a scenario did, so that the next one finds the world whole."""
        self.simulator.clear_faults()
        self.postgres.start()
        self.rabbit.start()
        for host in self.hosts.values():
            host.heal()


@contextmanager
def world(
    folder: Path,
    *,
    postgres: PrivatePostgres,
    rabbit: PrivateRabbit,
    stores: int = STORES,
    rate: int = RATE,
    faults: FaultRates = NO_FAULTS,
) -> Iterator[World]:
    """Build a world whose processes work, and end it; the test itself is Postgres' superuser."""
    database_url, admin_url = owned_database(postgres, folder.name)
    with ExitStack() as stack:
        ifood = IfoodSettings(
            merchants=stores,
            today=TODAY,
            faults=faults,
            sales_per_day=2,
            no_plan_share=0,
            financial_per_minute=None,  # `invariants` judges: the fleet would learn a limit
            window_seconds=COUNTED.total_seconds(),
        )
        simulator = stack.enter_context(simulating(ifood))
        loop = stack.enter_context(network())
        broker_url = stack.enter_context(rabbit.vhost(folder.name))
        add_users(rabbit.management)
        permit(rabbit.management, folder.name)
        engine = connect(admin_url, application_name="chaos", pool_size=15)
        stack.callback(engine.dispose)
        register(engine, simulator)
        built = World(
            engine=engine,
            database_url=database_url,
            broker_url=broker_url,
            simulator=simulator,
            postgres=postgres,
            rabbit=rabbit,
            settings=Settings.model_validate({"sales_deep_days": 0}),
            rate=rate,
        )
        services: dict[Leg, str] = {
            "database": database_url,
            "broker": broker_url,
            "api": simulator.url,
        }
        roles: list[Role] = ["scheduler", "scheduler", "worker", "worker"]
        for number, role in enumerate(roles):
            name = f"{role}-{number % 2 + 1}"
            host = make_host(
                name,
                role,
                folder=folder,
                services=services,
                simulator=simulator,
                loop=loop,
                IFOOD_RATE_LIMIT_PER_MINUTE=str(rate),
            )
            _listen(host, built.asked)
            built.hosts[name] = host
            stack.callback(host.end)
            host.start()
        for host in built.hosts.values():
            host.wait_until_ready()
        with _noted(built.stalls):
            yield built


@contextmanager
def _noted(stalls: list[float]) -> Iterator[None]:
    """Note for how long each time nothing went on, not even this thread."""
    ended = Event()

    def look() -> None:
        last = monotonic()
        while not ended.wait(0.1):
            last, before = monotonic(), last
            if last - before > LEASE.total_seconds() / 2:
                stalls.append(last - before)

    thread = Thread(target=look, name="stalls")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _listen(host: Host, asked: list[Asked]) -> None:
    host.proxies["api"].watch(
        rb"GET (/financial/\S+)",
        lambda match: asked.append(Asked(time(), host.name, match[1].decode())),
    )
