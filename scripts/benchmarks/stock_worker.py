"""Dramatiq as it comes, confirms on, with an actor that does nothing: what ours is compared to."""

import os
from pathlib import Path
from threading import Event

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from scripts.benchmarks.worker_processes import SECONDS, STOCK_DONE, STOCK_URL

_SECONDS = float(os.environ.get(SECONDS, "0"))
_DONE = os.environ.get(STOCK_DONE)

broker = RabbitmqBroker(url=os.environ[STOCK_URL], confirm_delivery=True)
dramatiq.set_broker(broker)


@dramatiq.actor(broker=broker, queue_name="stock")
def nothing(job_id: str, dispatch_no: int) -> None:  # noqa: ARG001 - the message has it
    """Take what a message carries, and do nothing; wait, and note the job, where that is asked."""
    if _SECONDS:
        Event().wait(_SECONDS)
    if _DONE:
        with Path(_DONE).open("a") as done:  # one small write, which no other process' falls into
            done.write(f"{job_id}\n")
