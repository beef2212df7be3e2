"""Dramatiq as it comes, confirms on, with an actor that does nothing: what ours is compared to."""

import os

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from scripts.benchmarks.worker_processes import STOCK_URL

broker = RabbitmqBroker(url=os.environ[STOCK_URL], confirm_delivery=True)
dramatiq.set_broker(broker)


@dramatiq.actor(broker=broker, queue_name="stock")
def nothing(job_id: str, dispatch_no: int) -> None:
    """Take what a message carries, and do nothing."""
