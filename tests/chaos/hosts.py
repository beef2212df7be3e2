"""One process of the fleet, with a folder, an environment and proxies of its own."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Literal

from chaos.proxy import Proxy
from sqlalchemy import make_url
from support.clock import eventually
from support.program import Program, Running, installation

from ifood_simulator import Simulator

Role = Literal["scheduler", "worker"]
Leg = Literal["database", "broker", "api"]

PATCHES = Path(__file__).parents[1] / "patches"
LEASE = timedelta(seconds=3)
# A third of those that processes have by default.
_TIME_OUTS: dict[Leg, dict[str, str]] = {
    "database": {
        "keepalives_idle": "4",
        "keepalives_interval": "2",
        "keepalives_count": "3",
        "tcp_user_timeout": "10000",
    },
    "broker": {
        "heartbeat": "3",
        "tcp_options": "{'TCP_KEEPIDLE': 3, 'TCP_KEEPINTVL': 2, 'TCP_KEEPCNT': 3,"
        " 'TCP_USER_TIMEOUT': 7000}",
    },
}
ATTEMPTS = 5


@dataclass
class Host:
    """A scheduler or a worker, and the three proxies that only it uses."""

    name: str
    role: Role
    installed: Program
    proxies: dict[Leg, Proxy]
    actors: set[str] = field(default_factory=set)  # its names in the history, one for each process
    _running: Running | None = None
    _said: int = 0  # characters of its log before the last start
    _ready: float | None = None  # since when, monotonic

    @property
    def running(self) -> Running:
        assert self._running, f"{self.name} is down"
        return self._running

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._running is None or self._running.process.poll() is not None:
            self._said = len(self.logs())
            self._ready = None
            self._running = self.installed.start(self.role)

    @property
    def age(self) -> float:
        """For how many seconds it has been ready, as far as anybody has waited for that."""
        return 0.0 if self._ready is None else monotonic() - self._ready

    def kill(self) -> None:
        if self._running:
            self._running.kill()
            self._running = None

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        code = self.running.stop()
        self._running = None
        return code

    def heal(self) -> None:
        for proxy in self.proxies.values():
            proxy.heal()
        if self._running:
            self._running.thaw()
        self.start()

    def wait_until_ready(self) -> None:
        """Wait for a sign of life since the last start."""
        said = f'"{self.role}.started"'
        eventually(lambda: said in self.logs()[self._said :])
        self._ready = self._ready or monotonic()

    def logs(self) -> str:
        return self.installed.logs()

    def end(self) -> None:
        if self._running:
            self._running.thaw()
            self.kill()
        for proxy in self.proxies.values():
            proxy.close()


@contextmanager
def patched(hosts: Iterable[Host], patch: str, **environment: str) -> Iterator[None]:
    """Run hosts with one of `tests/patches` for the length of the block."""
    with changed(hosts, PYTHONPATH=str(PATCHES), TEST_PATCH=patch, **environment):
        yield


@contextmanager
def changed(hosts: Iterable[Host], **settings: str) -> Iterator[None]:
    """Run hosts with other settings for the length of the block."""
    hosts = list(hosts)
    former = [dict(host.installed.settings) for host in hosts]
    for host in hosts:
        host.kill()
        host.installed.settings.update(settings)
        host.start()
    for host in hosts:
        host.wait_until_ready()
    try:
        yield
    finally:
        for host, before in zip(hosts, former, strict=True):
            host.kill()
            host.installed.settings.clear()
            host.installed.settings.update(before)


def make_host(
    name: str,
    role: Role,
    *,
    folder: Path,
    services: Mapping[Leg, str],
    simulator: Simulator,
    loop: asyncio.AbstractEventLoop,
    **changes: str,
) -> Host:
    """Make a host, not yet started, whose URLs lead through proxies to `services`."""
    proxies: dict[Leg, Proxy] = {}
    urls: dict[Leg, str] = {}
    for leg, url in services.items():
        address = make_url(url)
        proxies[leg] = Proxy(name, host=str(address.host), port=int(address.port or 0), loop=loop)
        through = address.set(host="127.0.0.1", port=proxies[leg].port)
        through = through.update_query_dict(_TIME_OUTS.get(leg, {}))
        urls[leg] = through.render_as_string(hide_password=False)
    home = folder / name
    home.mkdir()
    installed = installation(
        home,
        simulator,
        database_url=urls["database"],
        broker_url=urls["broker"],
        IFOOD_API_BASE_URL=urls["api"],
        IFOOD_LEASE=f"{LEASE.total_seconds():.0f}s",
        IFOOD_BACKOFF_BASE="1s",
        IFOOD_BACKOFF_CAP="1s",
        IFOOD_WORKER_MAX_CONCURRENCY="4",
        IFOOD_WORKER_MAX_ATTEMPTS=str(ATTEMPTS),
        **changes,
    )
    host = Host(name, role, installed, proxies)
    proxies["database"].watch(
        rb"(?:worker|scheduler) [\w.-]+:\d+", lambda match: host.actors.add(match[0].decode())
    )
    return host
