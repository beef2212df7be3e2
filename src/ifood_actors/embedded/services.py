"""
Where Postgres and RabbitMQ come from, decided in one place for the demo and the tests.

An explicit URL is taken at its word; then Docker, then the machine's programs, then (Postgres only)
the wheel. What was started here is stopped at the end of the `with` block.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from ifood_actors.embedded import docker
from ifood_actors.embedded.management import Management
from ifood_actors.embedded.postgres import PrivatePostgres, installed_programs
from ifood_actors.embedded.rabbitmq import PrivateRabbit
from ifood_actors.logs import get_logger

Source = Literal["url", "docker", "programs", "wheel"]

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunningPostgres:
    """`private` is there when the server is a child of ours: tests kill and restart it."""

    url: str = field(repr=False)  # with its password
    source: Source
    private: PrivatePostgres | None = None


@dataclass(frozen=True, kw_only=True)
class RunningRabbit:
    """`management` is unknown for an explicit URL, `private` for everything but our own child."""

    url: str = field(repr=False)  # with its password
    source: Source
    management: Management | None = None
    private: PrivateRabbit | None = None

    @contextmanager
    def vhost(self, name: str) -> Iterator[str]:
        """
        Create a virtual host, give its URL, and delete it at the end.

        For an explicit URL it is the URL itself, which names a virtual host to use.
        """
        if self.management is None:
            yield self.url
            return
        with self.management.vhost(name):
            yield f"{self.url}{name}"


@contextmanager
def postgres(url: str | None = None, *, durable: bool = True) -> Iterator[RunningPostgres]:
    """
    Start or find a Postgres server; `durable=False` turns fsync off where the server is ours.

    Raises ServiceUnavailable, saying what to install, when there is none.
    """
    with _postgres(url, durable=durable) as server:
        log.info("postgres.chosen", source=server.source)
        yield server


@contextmanager
def rabbitmq(url: str | None = None) -> Iterator[RunningRabbit]:
    """
    Start or find a RabbitMQ server.

    Raises ServiceUnavailable, saying what to install, when there is none.
    """
    with _rabbitmq(url) as server:
        log.info("rabbitmq.chosen", source=server.source)
        yield server


@contextmanager
def _postgres(url: str | None, *, durable: bool) -> Iterator[RunningPostgres]:
    if url:
        yield RunningPostgres(url=url, source="url")
    elif docker.usable():
        with docker.running("postgres") as compose:
            yield RunningPostgres(url=compose.postgres_url, source="docker")
    else:
        programs = installed_programs()
        with PrivatePostgres(programs, durable=durable) as private:
            source: Source = "programs" if programs else "wheel"
            yield RunningPostgres(url=private.url, source=source, private=private)


@contextmanager
def _rabbitmq(url: str | None) -> Iterator[RunningRabbit]:
    if url:
        yield RunningRabbit(url=url, source="url")
    elif docker.usable():
        with docker.running("rabbitmq") as compose:
            management = compose.management
            yield RunningRabbit(url=compose.rabbitmq_url, source="docker", management=management)
    else:
        with PrivateRabbit() as private:
            yield RunningRabbit(
                url=private.url,
                source="programs",
                management=private.management,
                private=private,
            )
