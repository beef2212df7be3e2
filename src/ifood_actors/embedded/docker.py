"""The services of `compose.yaml`, where a Docker engine and its compose plugin answer."""

import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ifood_actors.embedded.management import Management
from ifood_actors.embedded.processes import free_port
from ifood_actors.errors import ServiceUnavailable

# There is one in a checkout, none in an installed package: Docker is not used then.
COMPOSE_FILE = Path(__file__).parents[3] / "compose.yaml"
SERVICES = ("postgres", "rabbitmq")

_PULL_SECONDS = 300
_PROBE_SECONDS = 20
_VARIABLES = (
    "POSTGRES_PASSWORD",
    "POSTGRES_PORT",
    "RABBITMQ_PASSWORD",
    "RABBITMQ_PORT",
    "RABBITMQ_MANAGEMENT_PORT",
)


@dataclass(frozen=True, kw_only=True)
class Compose:
    """A compose project of our own: its ports, its password, how to call it."""

    env_file: Path
    project: str
    password: str = field(repr=False)
    postgres_port: int
    rabbitmq_port: int
    management_port: int

    @property
    def command(self) -> list[str]:
        """`docker compose`, with our values even where the caller's environment has others."""
        without = [part for name in _VARIABLES for part in ("-u", name)]
        return ["env", *without, "docker", "compose", "--env-file", str(self.env_file)]

    @property
    def postgres_url(self) -> str:
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.postgres_port}/postgres"

    @property
    def rabbitmq_url(self) -> str:
        return f"amqp://ifood:{self.password}@127.0.0.1:{self.rabbitmq_port}/"

    @property
    def management(self) -> Management:
        return Management(self.management_port, user="ifood", password=self.password)


@contextmanager
def own_project() -> Iterator[Compose]:
    """Choose ports, a password and a project's name; nothing is started."""
    with tempfile.TemporaryDirectory(prefix="ifood-compose-") as folder:
        compose = Compose(
            env_file=Path(folder) / "env",
            project=f"ifood-{secrets.token_hex(4)}",
            password=secrets.token_hex(16),
            postgres_port=free_port(),
            rabbitmq_port=free_port(),
            management_port=free_port(),
        )
        values = (
            compose.password,
            compose.postgres_port,
            compose.password,
            compose.rabbitmq_port,
            compose.management_port,
        )
        lines = [f"{name}={value}\n" for name, value in zip(_VARIABLES, values, strict=True)]
        compose.env_file.write_text("".join(lines), encoding="utf-8")
        yield compose


@contextmanager
def running(service: str) -> Iterator[Compose]:
    """
    Run one service of `compose.yaml` and remove it, its volume and its network afterwards.

    Raises ServiceUnavailable with what Docker said when it does not become healthy.
    """
    with own_project() as compose:
        base = [*compose.command, "-f", str(COMPOSE_FILE), "-p", compose.project]
        try:
            _run([*base, "up", "--detach", "--wait", service], seconds=_PULL_SECONDS)
            yield compose
        finally:
            _run([*base, "down", "--volumes"], seconds=_PULL_SECONDS)


@cache
def usable() -> bool:
    """
    Tell whether Docker can run our services: engine, compose plugin and images are there.

    A client without an engine or plugin is common, as is a network without image registry.
    """
    if shutil.which("docker") is None or not COMPOSE_FILE.exists():
        return False
    with own_project() as compose:
        pull = [*compose.command, "-f", str(COMPOSE_FILE), "pull", "--quiet", "--policy", "missing"]
        probes = [
            (["docker", "info"], _PROBE_SECONDS),
            (["docker", "compose", "version"], _PROBE_SECONDS),
            ([*pull, *SERVICES], _PULL_SECONDS),
        ]
        return all(_succeeds(probe, seconds=seconds) for probe, seconds in probes)


def _succeeds(command: list[str], *, seconds: int) -> bool:
    try:
        _run(command, seconds=seconds)
    except ServiceUnavailable:
        return False
    return True


def _run(command: list[str], *, seconds: int) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the commands of this file
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ServiceUnavailable(f"Docker did not answer within {seconds} s") from None
    if done.returncode:
        raise ServiceUnavailable(f"Docker: {done.stdout.strip()[-500:]}")
