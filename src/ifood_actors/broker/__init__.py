"""
A delay ladder for Dramatiq: its RabbitMQ broker, with delays that RabbitMQ holds.

It knows nothing of the rest of this project but its errors; docs/using_the_broker.md is its manual.
"""

from ifood_actors.broker.ladder_broker import LadderBroker
from ifood_actors.broker.publishing import NotTaken
from ifood_actors.broker.queues import QueueState, queue_states

__all__ = ["LadderBroker", "NotTaken", "QueueState", "queue_states", "topology"]
