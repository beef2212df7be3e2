"""
Changes to the program that tests make from outside, in every process of a fleet.

The first ones are accidents that no proxy can cause; the others break one promise each, to show
that the suite notices (`scripts/test mutants`).
"""

import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any


def clock_ahead() -> None:
    """Let the host's clock be an hour fast; monotonic time goes on as ever."""
    import time_machine

    time_machine.travel(datetime.now(UTC) + timedelta(hours=1), tick=True).start()


def deadly_merchant() -> None:
    """Let every job of the merchant in DEADLY_MERCHANT kill its process."""
    from ifood_actors.ifood.http import IfoodClient

    innocent = IfoodClient.merchant

    def merchant(self: Any, identity: Any, merchant_id: str, **options: Any) -> Any:
        if merchant_id == os.environ["DEADLY_MERCHANT"]:
            os.kill(os.getpid(), signal.SIGKILL)
        return innocent(self, identity, merchant_id, **options)

    _replace(IfoodClient, "merchant", merchant)


def no_confirms() -> None:
    """Publish without waiting for RabbitMQ's word that it has the message."""
    from pika.adapters.blocking_connection import BlockingChannel

    _replace(BlockingChannel, "confirm_delivery", lambda _: None)


def no_fence() -> None:
    """Let whoever has once held a job end it."""
    _without("AND lease_no = :lease_no AND claim_token = :claim_token AND status IN ('running')")


def no_claim_token() -> None:
    """Let the number of a lease alone tell who holds a job."""
    _without("AND claim_token = :claim_token")


def silent_fence() -> None:
    """Let the round trip of a success commit although its fence is lost."""
    from dataclasses import replace

    from sqlalchemy import text

    from ifood_actors.ledger import statements

    raising = statements.SUCCEED.sql.text
    silent = raising.replace("ifood_lease_lost(:id)", "CAST(:id AS uuid)")
    assert silent != raising
    _replace(statements, "SUCCEED", replace(statements.SUCCEED, sql=text(silent)))


def unguarded_batch() -> None:
    """Let any message of a job claim it, in a batch."""
    _without("AND dispatch_no = asked.number", acts=["CLAIM"])


def waiting_batch() -> None:
    """Let a batch of claims wait for each job that is locked."""
    _without("SKIP LOCKED", acts=["CLAIM"])


def no_unique_key() -> None:
    """Drop the key that makes a second plan of a job impossible."""
    from sqlalchemy import text

    from ifood_actors import migrations
    from ifood_actors.db import connect
    from ifood_actors.ledger import statements

    key = "(job_type, account_id, merchant_id, job_day)"
    careless = statements.PLAN.text.replace(f"ON CONFLICT {key} DO NOTHING", "")
    assert careless != statements.PLAN.text
    _replace(statements, "PLAN", text(careless))
    upgrade = migrations.upgrade

    def upgrade_and_drop(url: str) -> None:
        upgrade(url)
        engine = connect(url, application_name="patch")
        with engine.begin() as connection:
            [name] = connection.execute(
                text(
                    "SELECT conname FROM pg_constraint"
                    " WHERE conrelid = 'ifood_jobs'::regclass AND contype = 'u'"
                )
            ).scalars()
            connection.execute(text(f'ALTER TABLE ifood_jobs DROP CONSTRAINT "{name}"'))
        engine.dispose()

    _replace(migrations, "upgrade", upgrade_and_drop)


def own_limiter() -> None:
    """Let each process keep the limit for itself alone."""
    from time import monotonic

    from ifood_actors.ifood.limiter.limiter import Limiter
    from ifood_actors.ifood.request_slots import Reservation, interval

    free: dict[object, float] = {}

    def reserve(self: Any, app_id: Any, group: Any, **_: Any) -> Reservation:
        slot = max(monotonic(), free.get((app_id, group), 0.0))
        free[app_id, group] = slot + interval(self.rates[group]).total_seconds()
        return Reservation(app_id, group, not_before=slot, not_after=slot + 1)

    _replace(Limiter, "reserve", reserve)


def early_ack() -> None:
    """Ack a message when it comes, not when its job is settled."""
    from dramatiq.brokers.rabbitmq import _RabbitmqConsumer

    following: Any = _RabbitmqConsumer.__next__
    ack: Any = _RabbitmqConsumer.ack

    def take(self: Any) -> Any:
        message = following(self)
        if message is not None:
            ack(self, message)
        return message

    _replace(_RabbitmqConsumer, "__next__", take)
    _replace(_RabbitmqConsumer, "ack", lambda *_: None)
    _replace(_RabbitmqConsumer, "nack", lambda *_: None)


def hasty_takeover() -> None:
    """Take a job at the first tick that finds no lifeline of its worker."""
    from ifood_actors.ledger.claim_tokens import lifeline_of
    from ifood_actors.scheduler.deaths import Suspicions

    def compare(_: Any, jobs: Any, lifelines: Any, *, at: float) -> Any:  # noqa: ARG001 - no matter
        return [job for job in jobs if lifeline_of(job.claim_token) not in {None, *lifelines}]

    _replace(Suspicions, "compare", compare)


def blind_takeover() -> None:
    """Take the jobs of every worker that names a lifeline, present or not."""
    from ifood_actors.scheduler import deaths

    _replace(deaths, "present_lifelines", lambda _connection: frozenset())


def believed_gateways() -> None:
    """Take the word of whoever answers in iFood's place for iFood's own."""
    from ifood_actors.ifood.http import answers

    _replace(answers, "author_of", lambda _answer: "ifood")


def no_redaction() -> None:
    """Write secrets into the log as they come."""
    from ifood_actors import logs

    _replace(logs, "_redact_event", lambda _logger, _method, event: event)


def _replace(owner: object, name: str, value: object) -> None:
    """Put `value` in the place of what is there; fails where nothing is."""
    getattr(owner, name)
    setattr(owner, name, value)


def _without(guard: str, *, acts: Sequence[str] = ("SUCCEED", "FAIL", "RETRY", "SNOOZE")) -> None:
    from dataclasses import replace

    from sqlalchemy import text

    from ifood_actors.ledger import statements

    for name in acts:
        guarded = getattr(statements, name)
        open_to_all = guarded.sql.text.replace(guard, "")
        assert open_to_all != guarded.sql.text
        _replace(statements, name, replace(guarded, sql=text(open_to_all)))
