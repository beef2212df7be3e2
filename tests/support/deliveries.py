"""Single deliveries of a worker, against answers that are written down beforehand."""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from cryptography.fernet import Fernet
from dramatiq import MessageProxy
from dramatiq.brokers.stub import StubBroker
from sqlalchemy import Engine, text

from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.delivery.job_broker import compose_broker
from ifood_actors.delivery.messages import JobMessage, dramatiq_message
from ifood_actors.errors import JobError
from ifood_actors.feeds import FEEDS
from ifood_actors.ifood.http import AppCredentials
from ifood_actors.ifood.tables import AppKind
from ifood_actors.ifood.tokens import Cipher, register_app
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Opening
from support.api import Reply, Script
from support.rows import Queried, backdate, dispatch, make_accounts, row_of

MONDAY = date(2026, 9, 21)
KEY = Fernet.generate_key().decode()


class Outcome(NamedTuple):
    """What one delivery left behind: in the ledger, at iFood, in the records."""

    status: str
    error_code: str | None
    attempts: int
    requests: int
    rows: int


class Bench(Queried):
    """Deliveries one by one: the real claim, client, feeds, store and retry; no RabbitMQ."""

    def __init__(self, engine: Engine, server: Script, **changes: object) -> None:
        self.engine = engine
        self.server = server
        self.settings = Settings.model_validate(
            {
                "api_base_url": server.url,
                "api_allow_host": "127.0.0.1",
                "encryption_keys": KEY,
                "rate_limit_per_minute": 100_000,
                **changes,
            }
        )
        self._broker = compose_broker(
            self.settings, engine=engine, make_broker=lambda chain: StubBroker(middleware=chain)
        )
        with transaction(engine) as tx:
            self.app_id = register_app(
                tx,
                Cipher([KEY]),
                name="app",
                kind=AppKind.CENTRALIZED,
                credentials=AppCredentials("client", "secret"),
            )

    def add_account(self) -> UUID:
        [account] = make_accounts(self.engine, app_id=self.app_id)
        return account

    def plan(self, kind: str, *, count: int = 1, day: date = MONDAY) -> list[UUID]:
        """Plan and dispatch jobs of new accounts, due now."""
        accounts = make_accounts(self.engine, count, app_id=self.app_id)
        return self.plan_again(kind, accounts, day=day)

    def plan_again(self, kind: str, accounts: list[UUID], *, day: date) -> list[UUID]:
        """Plan a day of accounts that are there already."""
        now = datetime.now(UTC)
        opening = Opening(kind, day, now, now + timedelta(microseconds=len(accounts)))
        planner.plan(self.engine, planner.PlanRequest(opening, self.settings), actor="bench")
        values = {"accounts": accounts, "kind": kind, "day": day}
        jobs = self.rows(
            "SELECT id FROM ifood_jobs WHERE account_id = ANY(:accounts)"
            " AND job_type = :kind AND job_day = :day",
            **values,
        )
        ids = [job["id"] for job in jobs]
        dispatch(self.engine, *ids)
        return ids

    def let_its_wait_pass(self, job_id: UUID) -> None:
        """Make a job that waits for its next attempt due, and dispatch it."""
        backdate(self.engine, job_id, next_retry_at=timedelta(days=1), wake_at=timedelta(days=1))
        dispatch(self.engine, job_id)

    def let_pauses_pass(self) -> None:
        """Let tokens be asked for at once, although iFood has just failed to give one."""
        with transaction(self.engine) as tx:
            tx.execute(text("UPDATE ifood_authorizations SET locked_until = NULL"))

    def outcome_of(self, job_id: UUID, *replies: Reply) -> Outcome:
        """Deliver one job and tell what it came to."""
        self.server.read(*replies)
        self.deliver(job_id)
        job = row_of(self.engine, job_id)
        table = FEEDS[job["job_type"]].table.__tablename__
        [stored] = self.rows(
            f"SELECT count(*) AS rows FROM {table} WHERE account_id = :id", id=job["account_id"]
        )
        return Outcome(
            job["status"],
            job["error_code"],
            job["attempts"],
            len(self.server.asked),
            stored["rows"],
        )

    def deliver(self, job_id: UUID) -> None:
        """Run one delivery as a worker's thread does, in a fresh minute of the limiter."""
        with transaction(self.engine) as tx:
            tx.execute(text("DELETE FROM ifood_limits"))
        job = row_of(self.engine, job_id)
        ours = JobMessage(job_id, job["dispatch_no"])
        message = MessageProxy(dramatiq_message(job["job_type"], ours))
        error = None
        self._broker.emit_before("process_message", message)
        try:
            self._broker.get_actor(job["job_type"])(**ours.kwargs)
        except JobError as raised:
            error = raised
        self._broker.emit_after("process_message", message, exception=error)

    def close(self) -> None:
        self._broker.emit_after("worker_shutdown", None)
