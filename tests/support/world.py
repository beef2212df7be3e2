"""A small fleet in this process: real Postgres, real RabbitMQ, worker threads, simulated iFood."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from cryptography.fernet import Fernet
from sqlalchemy import Engine, make_url

from ifood_actors import migrations
from ifood_actors.broker import LadderBroker
from ifood_actors.config import Settings
from ifood_actors.db import connect
from ifood_actors.delivery.job_broker import compose_broker
from ifood_actors.delivery.messages import JobMessage
from ifood_actors.embedded import seed
from ifood_actors.embedded.postgres import PrivatePostgres
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Opening
from ifood_actors.scheduler.scheduler import Scheduler
from ifood_actors.worker.composition import working
from ifood_simulator import Simulator
from support.clock import eventually
from support.logins import apply_roles, as_login, lend_logins, logged_in
from support.rows import Queried

MONDAY = date(2026, 9, 21)
KEY = Fernet.generate_key().decode()


@dataclass(frozen=True)
class World(Queried):
    settings: Settings
    engine: Engine  # the owner's: it is the test itself that looks
    broker: LadderBroker
    simulator: Simulator

    def plan(self, kind: str, *, day: date = MONDAY) -> None:
        """Plan a run of all accounts, due now."""
        now = datetime.now(UTC)
        opening = Opening(kind, day, now, now + timedelta(seconds=1))
        scheduler = as_login(self.engine, "scheduler")
        planner.plan(scheduler, planner.PlanRequest(opening, self.settings), actor="test")

    def run(self, kind: str, *, day: date = MONDAY) -> list[dict[str, Any]]:
        """Plan a run, wait until all its jobs have ended, and give them."""
        self.plan(kind, day=day)
        eventually(self.idle)
        return self.rows(
            "SELECT * FROM ifood_jobs WHERE job_type = :kind AND job_day = :day",
            kind=kind,
            day=day,
        )

    def idle(self) -> bool:
        return not self.rows("SELECT FROM ifood_jobs WHERE status IN ('pending', 'running')")

    def acts(self, job_id: UUID) -> list[str]:
        found = self.rows(
            "SELECT act FROM ifood_job_events WHERE job_id = :id ORDER BY event_no", id=job_id
        )
        return [row["act"] for row in found if row["act"] != "dispatch"]

    @contextmanager
    def working(self, *, threads: int = 6) -> Iterator[None]:
        """Run scheduler and workers for the length of the block."""
        scheduler = Scheduler(
            self.settings,
            engine=as_login(self.engine, "scheduler"),
            publisher=self.broker,
            inspector=self.broker,
        )
        with working(self.broker, threads=threads):
            scheduler.start(plan=False)
            try:
                yield
            finally:
                scheduler.stop()


@contextmanager
def stand_up(
    simulator: Simulator, *, database_url: str, broker_url: str, **changes: object
) -> Iterator[World]:
    settings = Settings.model_validate(
        {
            "database_url": database_url,
            "broker_url": broker_url,
            "api_base_url": simulator.url,
            "api_allow_host": "127.0.0.1",
            "encryption_keys": KEY,
            "rate_limit_per_minute": 60_000,
            "worker_poll_interval_ms": 100,
            "backoff_base": "1s",
            "backoff_cap": "1s",
            **changes,
        }
    )
    engine = connect(
        database_url, application_name="fleet", pool_size=20, schema=settings.database_schema
    )
    dispose_of_logins = lend_logins(engine, database_url, schema=settings.database_schema)
    register(engine, simulator)
    broker = compose_broker(
        settings,
        engine=as_login(engine, "worker"),
        make_broker=lambda chain: LadderBroker(
            logged_in(broker_url, "worker"), middleware=chain, check=JobMessage.from_message
        ),
    )
    broker.declare_all()
    try:
        yield World(settings, engine, broker, simulator)
    finally:
        broker.close()
        engine.dispose()
        dispose_of_logins()


def register(engine: Engine, simulator: Simulator) -> None:
    """Store the simulator's application and accounts, with the key of all tests."""
    seed(engine, simulator, keys=[KEY])


def owned_database(server: PrivatePostgres, name: str) -> tuple[str, str]:
    """
    Make one, with an owner and all logins; give the owner's URL, and that of the superuser.

    Only the last is one: to superusers the server grants connections beyond all limits.
    """
    password = secrets.token_hex(16)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'".encode())
        connection.execute(f'CREATE DATABASE "{name}" OWNER "{name}"'.encode())
    admin = make_url(server.url).set(database=name)
    own = admin.set(username=name, password=password)
    migrations.upgrade(own.render_as_string(hide_password=False))
    apply_roles(admin.render_as_string(hide_password=False))
    with psycopg.connect(server.url, autocommit=True) as connection:
        # Who has migrated owns the tables no more, but for this.
        connection.execute(f'GRANT ifood_migrator TO "{name}"'.encode())
    return own.render_as_string(hide_password=False), admin.render_as_string(hide_password=False)
