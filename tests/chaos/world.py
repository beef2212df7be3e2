"""
A fleet of real processes in a small world that can be broken.

Two schedulers and two worker hosts, each behind proxies of its own to a real Postgres, a real
RabbitMQ and the simulated iFood. Waits are shortened by settings: a lease of 3 s instead of 60.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import monotonic, time
from typing import Any, Literal, NamedTuple

from eventually import eventually
from fleet import register
from processes import Installation, Running, installation
from proxy import Proxy, Trigger, network
from sqlalchemy import Engine, make_url, text

from ifood_actors.config import WEEKDAYS, Settings
from ifood_actors.db import connect, transaction
from ifood_actors.embedded.management import Management
from ifood_actors.embedded.postgres import PrivatePostgres
from ifood_actors.embedded.rabbitmq import PrivateRabbit
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Opening
from ifood_actors.simulator import Settings as IfoodSettings
from ifood_actors.simulator import Simulator
from ifood_actors.simulator import running as simulating

Role = Literal["scheduler", "worker"]
Leg = Literal["database", "broker", "api"]

STORES = 24
TODAY = date(2026, 9, 21)
LEASE = timedelta(seconds=3)
RATE = 1200  # requests a minute
COUNTED = timedelta(seconds=6)  # the simulator's minute: all runs last longer than one
# What requests RATE apart may be in 6 s, plus the limiter's 2 s of lateness and delivery.
ALLOWED = int(RATE * (COUNTED.total_seconds() + 2) / 62) + 1


class Asked(NamedTuple):
    """A request to iFood, as it passed a host's proxy."""

    at: float  # seconds since 1970
    host: str
    path: str


@dataclass
class Host:
    """One process and its children, and the three proxies that only it uses."""

    name: str
    role: Role
    installed: Installation
    proxies: dict[Leg, Proxy]
    actors: set[str] = field(default_factory=set)  # its names in the history, one for each process
    running: Running | None = None

    def start(self, **environment: str) -> None:
        self.installed.environment.update(environment)
        if self.running is None or self.running.process.poll() is not None:
            self.running = self.installed.start(self.role)

    def kill(self) -> None:
        if self.running:
            self.running.kill()
            self.running = None

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        assert self.running
        code = self.running.stop()
        self.running = None
        return code

    def logs(self) -> str:
        return self.installed.logs()


@dataclass
class World:
    engine: Engine  # past all proxies
    database_url: str
    broker_url: str
    simulator: Simulator
    postgres: PrivatePostgres
    rabbit: PrivateRabbit
    vhost: str
    settings: Settings
    hosts: dict[str, Host]
    asked: list[Asked] = field(default_factory=list)
    runs: list[tuple[str, date]] = field(default_factory=list)

    @property
    def management(self) -> Management:
        return self.rabbit.management

    def of(self, role: Role) -> list[Host]:
        return [host for host in self.hosts.values() if host.role == role]

    def proxies(self, leg: Leg | None = None, role: Role | None = None) -> list[Proxy]:
        return [
            proxy
            for host in self.hosts.values()
            for name, proxy in host.proxies.items()
            if leg in (None, name) and role in (None, host.role)
        ]

    def arm(
        self,
        role: Role,
        leg: Leg,
        trigger: tuple[tuple[bytes, ...], Any, Any],
        act: Callable[[Host], object],
    ) -> Trigger:
        """Let whichever host of a role first meets the trigger suffer `act`."""
        patterns, direction, when = trigger
        armed = Trigger(patterns, direction, when, lambda name: act(self.hosts[name]))
        for proxy in self.proxies(leg, role):
            proxy.arm(armed)
        return armed

    def plan(self, kind: str = "sales", *, over: timedelta = timedelta(seconds=1)) -> date:
        """Plan a run of all stores that starts now, for a day that has none yet."""
        day = TODAY - timedelta(days=len(self.runs))
        now = datetime.now(UTC)
        wanted = planner.request(Opening(kind, day, now, now + over), self.settings)
        planner.plan(self.engine, wanted, actor="test")
        self.runs.append((kind, day))
        return day

    def rows(self, statement: str, **values: object) -> list[dict[str, Any]]:
        with transaction(self.engine) as tx:
            return [dict(row) for row in tx.execute(text(statement), values).mappings()]

    def count(self, *statuses: str) -> int:
        """Count the jobs of the last run, those with one of the statuses when some are given."""
        kind, day = self.runs[-1]
        [row] = self.rows(
            "SELECT count(*) AS n FROM ifood_jobs WHERE job_type = :kind AND job_day = :day"
            " AND (cardinality(CAST(:statuses AS text[])) = 0 OR status = ANY(:statuses))",
            kind=kind,
            day=day,
            statuses=list(statuses),
        )
        return int(row["n"])

    def idle(self) -> bool:
        return not self.count("pending", "running")

    def finish(self, *, within: float = 60) -> None:
        eventually(self.idle, within=within)

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

    def heal(self) -> None:
        """Undo whatever a scenario did, so that the next one finds the world whole."""
        self.simulator.clear_quirks()
        self.postgres.start()
        self.rabbit.start()
        for host in self.hosts.values():
            for proxy in host.proxies.values():
                proxy.heal()
            if host.running:
                host.running.thaw()
            host.start()


@contextmanager
def world(
    folder: Path,
    *,
    database_url: str,
    postgres: PrivatePostgres,
    rabbit: PrivateRabbit,
    **changes: str,
) -> Iterator[World]:
    """Build a world whose processes are started, and end it."""
    with ExitStack() as stack:
        ifood = IfoodSettings(
            merchants=STORES,
            today=TODAY,
            sales_per_day=2,
            no_plan_share=0,
            financial_per_minute=None,  # `invariants` judges: the fleet would learn a limit
            window_seconds=COUNTED.total_seconds(),
        )
        simulator = stack.enter_context(simulating(ifood))
        loop = stack.enter_context(network())
        broker_url = stack.enter_context(rabbit.vhost(folder.name))
        engine = connect(database_url, application_name="chaos", pool_size=5)
        stack.callback(engine.dispose)
        register(engine, simulator)
        built = World(
            engine=engine,
            database_url=database_url,
            broker_url=broker_url,
            simulator=simulator,
            postgres=postgres,
            rabbit=rabbit,
            vhost=folder.name,
            settings=Settings.model_validate({"sales_deep_days": 0}),
            hosts={},
        )
        roles: list[Role] = ["scheduler", "worker"]
        for role in roles:
            for number in (1, 2):
                host = _host(f"{role}-{number}", role, built, folder, loop, changes)
                built.hosts[host.name] = host
                stack.callback(_end, host)
                host.start()
        eventually(lambda: all(ready(host) for host in built.hosts.values()), within=60)
        yield built


def ready(host: Host) -> bool:
    return f"{host.role}.started" in host.logs()


def _host(
    name: str,
    role: Role,
    built: World,
    folder: Path,
    loop: asyncio.AbstractEventLoop,
    changes: dict[str, str],
) -> Host:
    services: dict[Leg, str] = {
        "database": built.database_url,
        "broker": built.broker_url,
        "api": built.simulator.url,
    }
    proxies: dict[Leg, Proxy] = {}
    urls = {}
    for leg, url in services.items():
        address = make_url(url)
        proxy = Proxy(name, host=address.host or "", port=address.port or 0, loop=loop)
        proxies[leg] = proxy
        urls[leg] = address.set(host="127.0.0.1", port=proxy.port).render_as_string(
            hide_password=False
        )
    proxies["api"].watch(
        rb"GET (/financial/\S+)",
        lambda match: built.asked.append(Asked(time(), name, match[1].decode())),
    )
    home = folder / name
    home.mkdir()
    installed = installation(
        home,
        built.simulator,
        database_url=urls["database"],
        broker_url=urls["broker"],
        **{
            "IFOOD_API_BASE_URL": urls["api"],
            "IFOOD_RATE_LIMIT_PER_MINUTE": str(RATE),
            "IFOOD_LEASE": f"{LEASE.total_seconds():.0f}s",
            "IFOOD_BACKOFF_BASE": "1s",
            "IFOOD_BACKOFF_CAP": "1s",
            "IFOOD_WORKER_PROCESSES": "1",
            "IFOOD_WORKER_MAX_CONCURRENCY": "4",
            "IFOOD_WORKER_MAX_ATTEMPTS": "5",
            **_windows_far_away(),
            **changes,
        },
    )
    host = Host(name, role, installed, proxies)
    proxies["database"].watch(
        rb"(?:worker|scheduler) [\w.-]+:\d+", lambda match: host.actors.add(match[0].decode())
    )
    return host


def _windows_far_away() -> dict[str, str]:
    """No run but those of the scenarios: every window opens in three days."""
    weekday = WEEKDAYS[(datetime.now(UTC).weekday() + 3) % 7]
    names = ("SETTLEMENTS", "ANTICIPATIONS", "SALES")
    return {f"IFOOD_{name}_WINDOW": f"{weekday} 08:00-12:00" for name in names}


def _end(host: Host) -> None:
    with suppress(AssertionError):
        if host.running:
            host.running.thaw()
            host.kill()
    for proxy in host.proxies.values():
        proxy.close()


class Recovery:
    """Measures how long the fleet takes to be well again, against the figure that is promised."""

    def __init__(self, name: str, note: Callable[[str], None]) -> None:
        self._name = name
        self._note = note
        self._began = monotonic()
        self._since = time()

    def begin(self) -> float:
        """Count from now; gives the instant (seconds since 1970)."""
        self._began, self._since = monotonic(), time()
        return self._since

    def until(self, condition: Callable[[], object], *, figure: float) -> None:
        """Wait for recovery, at most `figure` seconds, and write down how long it took."""
        eventually(condition, within=figure)
        took = monotonic() - self._began
        self._note(f"{self._name}: {took:.1f} s (at most {figure:.0f} s)")
