"""Rows that are valid by default, so that a test states only the one fact it is about."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, text

from ifood_actors.db import transaction
from ifood_actors.delivery.admission import Admission
from ifood_actors.delivery.claims import Claims
from ifood_actors.delivery.execute import execute
from ifood_actors.delivery.leases import Leases
from ifood_actors.delivery.messages import JobMessage
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ledger import ClaimedJob, Ledger, NewJob, NewRun
from ifood_actors.scheduler.relay import Publisher, Relay
from ifood_actors.scheduler.slot_budget import RelayRate
from support.logins import as_login

DAY = date(2026, 9, 21)
AT_ONCE = timedelta(0)
LEASE = timedelta(seconds=60)
GRACE = timedelta(minutes=5)
HORIZON = timedelta(hours=4)
PLENTY = RelayRate(100_000)  # a limit that stops no test


def make_relay(
    engine: Engine, publisher: Publisher, *, rate: RelayRate = PLENTY, jitter: timedelta = AT_ONCE
) -> Relay:
    engine = as_login(engine, "scheduler")
    return Relay(
        engine, publisher, horizon=HORIZON, jitter=jitter, max_attempts=3, rate=rate, actor="relay"
    )


class Queried:
    """What has an engine, and answers questions in SQL."""

    engine: Engine

    def rows(self, statement: str, **values: object) -> list[dict[str, Any]]:
        with transaction(self.engine) as tx:
            return [dict(row) for row in tx.execute(text(statement), values).mappings()]


@dataclass(frozen=True)
class Planned:
    id: UUID
    account_id: UUID
    merchant_id: str


def make_app(engine: Engine, name: str = "app") -> UUID:
    with transaction(engine) as tx:
        app_id: UUID = tx.execute(
            text("""
                INSERT INTO ifood_apps (name, client_id, kind, client_secret_encrypted)
                VALUES (:name, 'client', 'centralized', 'sealed') RETURNING id
            """),
            {"name": name},
        ).scalar_one()
        return app_id


def make_accounts(
    engine: Engine, count: int = 1, *, app_id: UUID | None = None, priority: int = 0
) -> list[UUID]:
    with transaction(engine) as tx:
        rows = tx.execute(
            text("""
                INSERT INTO accounts (name, ifood_merchant_id, app_id, priority)
                SELECT 'Cantina ' || id, id, :app_id, :priority
                FROM unnest(CAST(:ids AS text[])) AS id RETURNING id
            """),
            {
                "ids": [str(uuid4()) for _ in range(count)],
                "app_id": app_id,
                "priority": priority,
            },
        )
        return list(rows.scalars())


def make_jobs(
    engine: Engine,
    count: int = 1,
    *,
    kind: str = "sales",
    slot: datetime | None = None,
    app_id: UUID | None = None,
    priority: int = 0,
) -> list[Planned]:
    """Plan `count` jobs of new accounts, due now or at `slot`."""
    slot = slot or datetime.now(UTC) - timedelta(seconds=1)
    run = NewRun(
        kind=kind,
        job_day=DAY,
        window_start=slot,
        window_end=slot + timedelta(hours=1),
        batch_size=5,
        period_start=DAY - timedelta(days=7),
        period_end=DAY - timedelta(days=1),
        complete=True,
    )
    accounts = make_accounts(engine, count, app_id=app_id)
    with transaction(engine) as tx:
        ledger = Ledger(tx, actor="builder")
        merchants = {
            row.id: row.ifood_merchant_id
            for row in tx.execute(text("SELECT id, ifood_merchant_id FROM accounts"))
        }
        jobs = [
            NewJob(account_id, merchants[account_id], priority, slot) for account_id in accounts
        ]
        ledger.plan(ledger.start_run(run), run, jobs, horizon=HORIZON)
        rows = tx.execute(
            text("SELECT id, account_id, merchant_id FROM ifood_jobs WHERE account_id = ANY(:ids)"),
            {"ids": accounts},
        )
        return [Planned(row.id, row.account_id, row.merchant_id) for row in rows]


def make_rejected_item(
    engine: Engine, key: str = "odd", *, merchant_id: str = "m-1", kind: str = "sales"
) -> None:
    """Set an item aside, as a pull does that has just ended."""
    with transaction(engine) as tx:
        tx.execute(
            text("""
                INSERT INTO ifood_rejected_items (kind, account_id, merchant_id, job_id, item_key,
                  reason, raw, covered_from, covered_to, first_seen_at, last_seen_at)
                VALUES (:kind, gen_random_uuid(), :merchant_id, gen_random_uuid(), :key,
                  'Sale: saleGrossValue.bag: Field required', '{"secret": 1}', :day, :day,
                  now(), now())
            """),
            {"kind": kind, "merchant_id": merchant_id, "key": key, "day": DAY},
        )


def dispatch(engine: Engine, *job_ids: UUID) -> None:
    with transaction(as_login(engine, "scheduler")) as tx:
        Ledger(tx, actor="relay").dispatch(job_ids, grace=GRACE)


def claim(
    engine: Engine, job_id: UUID, dispatch_no: int = 1, *, lease: timedelta = LEASE
) -> ClaimedJob | None:
    with transaction(as_login(engine, "worker")) as tx:
        return Ledger(tx, actor="worker").claim(job_id, dispatch_no, token=uuid4(), lease=lease)


def must_claim(engine: Engine, job_id: UUID, dispatch_no: int = 1) -> ClaimedJob:
    job = claim(engine, job_id, dispatch_no)
    assert job is not None
    return job


def claimed_job(engine: Engine, *, lease: timedelta = LEASE) -> ClaimedJob:
    """Plan, dispatch and claim one job."""
    [planned] = make_jobs(engine)
    dispatch(engine, planned.id)
    job = claim(engine, planned.id, lease=lease)
    assert job is not None
    return job


def row_of(engine: Engine, job_id: UUID) -> dict[str, Any]:
    with transaction(engine) as tx:
        found = tx.execute(text("SELECT * FROM ifood_jobs WHERE id = :id"), {"id": job_id})
        return dict(found.mappings().one())


def deliver(engine: Engine, job_id: UUID) -> None:
    """Execute the first message of a job that is not claimed, so that iFood is not asked."""
    limiter = Limiter(engine, rates={"financial": 180})
    leases = Leases(engine, length=LEASE, actor="worker")
    execute(
        JobMessage(job_id, 1),
        kind="sales",
        engine=engine,
        client=None,  # type: ignore[arg-type] # as said
        claims=Claims(engine, leases),
        leases=leases,
        admission=Admission(engine, limiter, actor="worker"),
    )


def acts_of(engine: Engine, job_id: UUID) -> list[str]:
    with transaction(engine) as tx:
        return list(
            tx.execute(
                text("SELECT act FROM ifood_job_events WHERE job_id = :id ORDER BY event_no"),
                {"id": job_id},
            ).scalars()
        )


@contextmanager
def unwatched(engine: Engine) -> Iterator[Connection]:
    """Open a transaction in which no trigger notices or judges what is written."""
    with transaction(engine) as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        yield tx


@contextmanager
def unbound(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that writes what only a release without the newest constraints let in."""
    newest = "FROM pg_constraint WHERE contype = 'c' AND NOT convalidated"
    with unwatched(engine) as tx:
        found = tx.execute(
            text(f"SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) {newest}")
        ).all()
        for table, name, _ in found:
            tx.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
        yield tx
        for table, name, condition in found:
            tx.exec_driver_sql(f"ALTER TABLE {table} ADD CONSTRAINT {name} {condition}")


def backdate(engine: Engine, job_id: UUID, **columns: timedelta) -> None:
    """Move instants of a job into the past, as if time had gone by; no trigger notices."""
    changes = ", ".join(f"{column} = {column} - :{column}" for column in columns)
    with unwatched(engine) as tx:
        tx.execute(
            text(f"UPDATE ifood_jobs SET {changes} WHERE id = :id"), {"id": job_id, **columns}
        )


def waits_for_a_lock(engine: Engine) -> bool:
    with transaction(engine) as tx:
        waiting = text(
            "SELECT FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(tx.execute(waiting).all())


def merchant(number: int) -> str:
    """The id of merchant number `number`; they sort like their numbers."""
    return str(UUID(int=(0xA << 124) + number))


M, N, P, Q = map(merchant, range(4))
