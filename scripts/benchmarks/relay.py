"""The relay: due rows, confirmed messages, events and the commit; beside stock Dramatiq."""

from collections.abc import Callable
from time import monotonic

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from sqlalchemy import text

from ifood_actors.db import transaction
from ifood_actors.delivery.messages import JobMessage, dramatiq_message
from scripts.benchmarks import runs
from scripts.benchmarks.environment import Environment, Services, add_accounts, start_environment
from scripts.benchmarks.machine import Meter
from scripts.benchmarks.report import Figure, amount, at_least
from scripts.benchmarks.sizes import Sizes

_PER_SECOND = 600.0


def measure(on: Services, sizes: Sizes) -> list[Figure]:
    with start_environment(on) as here:
        messages = sizes.relayed
        add_accounts(here.engine, messages)
        runs.plan_due(here)
        stock = _per_second(messages, lambda: _stock(here, messages))
        alone = _per_second(messages, lambda: _publish(here))

        meter = Meter(on.pids())
        started = monotonic()
        moved = runs.relay(here).run()
        rate = moved.dispatched / (monotonic() - started)
        spent = meter.spent()

    cost = [
        Figure(f"  CPU of {part}", amount(1000 * seconds / messages, "ms a message"))
        for part, seconds in spent.cpu.items()
    ]
    busy = spent.others / spent.seconds
    return [
        at_least("relay, confirmed and in the ledger", rate, _PER_SECOND, unit="messages/s"),
        *cost,
        Figure("  busy with other things meanwhile", amount(busy, "cores")),
        Figure("the relay's broker, no ledger", amount(alone, "messages/s")),
        Figure("stock Dramatiq, confirms on, no ledger", amount(stock, "messages/s")),
        Figure("relay / stock", amount(rate / stock, "x")),
    ]


def _per_second(messages: int, send: Callable[[], None]) -> float:
    started = monotonic()
    send()
    return messages / (monotonic() - started)


def _publish(on: Environment) -> None:
    """Send what the relay will send, once before; to the broker it is the same."""
    with transaction(on.engine) as tx:
        ids = tx.execute(text("SELECT id FROM ifood_jobs")).scalars().all()
    on.broker.enqueue_many((dramatiq_message(runs.KIND, JobMessage(id_, 1)), None) for id_ in ids)


def _stock(on: Environment, messages: int) -> None:
    broker = RabbitmqBroker(url=on.settings.require_broker_url(), confirm_delivery=True)
    try:
        send(broker, messages)
    finally:
        broker.close()


def send(broker: dramatiq.Broker, messages: int) -> None:
    """Enqueue bodies of a message's size, one by one, as stock Dramatiq does it."""
    for number in range(messages):
        broker.enqueue(
            dramatiq.Message(
                queue_name="stock",
                actor_name="nothing",
                args=(),
                kwargs={"job_id": f"00000000-0000-4000-8000-{number:012d}", "dispatch_no": 1},
                options={},
            )
        )
