"""Where the benchmarks run: private durable services, and for each a database and a vhost."""

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psycopg
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text

from ifood_actors import migrations
from ifood_actors.broker import LadderBroker
from ifood_actors.config import Settings
from ifood_actors.db import connect, transaction
from ifood_actors.embedded import database, services
from ifood_actors.embedded.services import RunningPostgres, RunningRabbit
from ifood_actors.ifood.http import AppCredentials
from ifood_actors.ifood.tables import AppKind
from ifood_actors.ifood.tokens import Cipher, register_app

# Nobody listens there; a worker that did ask would fail, not reach iFood.
NO_API = "http://127.0.0.1:9"
MOST_PER_MINUTE = 100_000  # what the setting of the limit accepts


@dataclass(frozen=True)
class Services:
    """The two servers, for all benchmarks of one call."""

    postgres: RunningPostgres
    rabbit: RunningRabbit

    def pids(self) -> dict[str, int]:
        """Name those of our own processes whose CPU can be measured; none of a container's."""
        private = {"Postgres": self.postgres.private, "RabbitMQ": self.rabbit.private}
        found = {name: server.pid for name, server in private.items() if server}
        return {name: pid for name, pid in found.items() if pid} | {"this process": os.getpid()}


@dataclass(frozen=True)
class Environment:
    """A migrated, empty database, an empty vhost, and one application without accounts."""

    services: Services
    settings: Settings
    engine: Engine
    broker: LadderBroker


@contextmanager
def running_services() -> Iterator[Services]:
    """Start both servers, durable, whatever the environment says."""
    with services.postgres() as postgres, services.rabbitmq() as rabbit:
        _count_statements(postgres)
        yield Services(postgres, rabbit)


@contextmanager
def empty_place(on: Services) -> Iterator[tuple[str, str]]:
    """Lend an empty database and an empty vhost: their URLs."""
    with (
        database(on.postgres.url, prefix="bench_") as database_url,
        on.rabbit.vhost(f"bench-{secrets.token_hex(4)}") as broker_url,
    ):
        yield database_url, broker_url


@contextmanager
def start_environment(on: Services, **chosen: object) -> Iterator[Environment]:
    """Lend an environment; `chosen` are settings."""
    with ExitStack() as parts:
        database_url, broker_url = parts.enter_context(empty_place(on))
        given = {
            "database_url": database_url,
            "broker_url": broker_url,
            "api_base_url": NO_API,
            "api_allow_host": "127.0.0.1",
            "encryption_keys": Fernet.generate_key().decode(),
            "rate_limit_per_minute": MOST_PER_MINUTE,
        }
        settings = Settings.model_validate({**given, **chosen})
        migrations.upgrade(database_url)
        engine = connect(database_url, application_name="bench", pool_size=10)
        parts.callback(engine.dispose)
        broker = LadderBroker(broker_url, middleware=[], connection_name="bench")
        parts.callback(broker.close)
        broker.declare_all()
        yield Environment(on, settings, engine, broker)


def register(on: Environment, credentials: AppCredentials) -> None:
    """Store the one application, to which all accounts belong."""
    cipher = Cipher(on.settings.require_encryption_keys())
    with transaction(on.engine) as tx:
        register_app(tx, cipher, name="bench", kind=AppKind.CENTRALIZED, credentials=credentials)


def add_accounts(engine: Engine, count: int, *, prefix: str = "bench") -> list[str]:
    """Add active accounts; give their merchants' ids."""
    merchants = [f"{prefix}-{number:06d}" for number in range(count)]
    with transaction(engine) as tx:
        tx.execute(
            text("""
                INSERT INTO accounts (name, ifood_merchant_id, app_id)
                SELECT 'Cantina ' || merchant, merchant, (SELECT id FROM ifood_apps)
                FROM unnest(CAST(:merchants AS text[])) AS merchant
            """),
            {"merchants": merchants},
        )
    # As autovacuum does a minute later: a plan made for an empty table is not what is measured.
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE accounts"))
    return merchants


def _count_statements(postgres: RunningPostgres) -> None:
    """Load pg_stat_statements where the server is ours and has it; it needs a restart."""
    if postgres.private is None:
        return
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        row = connection.execute(
            "SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements'"
        ).fetchone()
        if row is None:
            return
        connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
    postgres.private.restart()
