"""
The delay ladder as data: which exchanges, queues and bindings RabbitMQ holds, and the way through.

A delay is rounded up to whole seconds and written as 14 bits. A message enters at its highest set
bit and moves down one level at a time: at a level whose bit is 1 it waits in that level's queue
until the queue's TTL dead-letters it downwards, at a level whose bit is 0 an exchange-to-exchange
binding hands it on at once. Below level 0 the last part of its routing key, the work queue's name,
delivers it. NServiceBus and kombu hold delays the same way. Plain RabbitMQ 3.10 to 4.x, no plugin.

    13 ── 12 ── ... ── 2 ── 1 ── 0 ── delay.v1.deliver ── ifood.sales
    8192 s 4096 s      4 s  2 s  1 s                  └── no queue? delay.v1.unroutable

Nothing in here talks to RabbitMQ; `declaring.py` does.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

LEVELS: Final = 14
REACH: Final = timedelta(seconds=2**LEVELS - 1)
"""The longest delay the ladder takes, 4 h 33 min 3 s."""

# The arguments of a queue cannot be changed once it exists. A change of one below needs
# a new version here, so that both ladders live side by side until the old one is empty.
PREFIX: Final = "delay.v1"
DELIVER: Final = f"{PREFIX}.deliver"
UNROUTABLE: Final = f"{PREFIX}.unroutable"

# RabbitMQ notes a message's arrival in whole milliseconds, rounded down. A TTL of just the level's
# seconds could end that much early; this much longer, it cannot.
CLOCK_STEP: Final = timedelta(milliseconds=1)

DELIVERY_LIMIT: Final = 20  # deliveries without an ack; RabbitMQ 4 has the same default
DEAD_LETTER_TTL: Final = timedelta(days=7)  # as long as Dramatiq keeps its dead letters


@dataclass(frozen=True)
class Exchange:
    """A durable exchange; one with an `alternate` hands on there what no binding takes."""

    name: str
    kind: str
    alternate: str | None = None

    @property
    def arguments(self) -> dict[str, str]:
        return {"alternate-exchange": self.alternate} if self.alternate else {}


@dataclass(frozen=True)
class Queue:
    """A durable quorum queue: it survives what kills a broker, and a minority of its nodes."""

    name: str
    settings: dict[str, str | int] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, str | int]:
        return {"x-queue-type": "quorum", **self.settings}


@dataclass(frozen=True)
class Binding:
    """What `source` passes on to an exchange or a queue, by a topic pattern."""

    source: str
    target: Exchange | Queue
    pattern: str


@dataclass(frozen=True)
class Topology:
    """Objects of RabbitMQ, each of which can be declared again without harm."""

    exchanges: tuple[Exchange, ...]
    queues: tuple[Queue, ...]
    bindings: tuple[Binding, ...]

    @property
    def in_order(self) -> tuple[Exchange | Queue | Binding, ...]:
        """An order in which they can be declared."""
        return (*self.exchanges, *self.queues, *self.bindings)


@dataclass(frozen=True)
class Route:
    """Where to publish so that a message arrives in its queue after its delay."""

    exchange: str
    routing_key: str


def route(queue: str, *, delay: timedelta) -> Route:
    """
    The way to `queue`: straight for a delay of zero or less, else through the ladder.

    Rounding up, and the levels' `CLOCK_STEP`, keep a message from arriving early.
    Raises ValueError for a delay beyond `REACH`.
    """
    seconds = -(-delay // timedelta(seconds=1))
    if seconds <= 0:
        return Route(exchange="", routing_key=queue)
    if seconds > REACH.total_seconds():
        raise ValueError(f"a delay of {delay} is beyond the ladder's reach of {REACH}")
    bits = format(seconds, f"0{LEVELS}b")
    return Route(
        exchange=level_name(seconds.bit_length() - 1), routing_key=".".join([*bits, queue])
    )


def level_name(level: int) -> str:
    """The name of a level's exchange, and of its queue."""
    return f"{PREFIX}.level-{level:02d}"


LEVEL_NAMES: Final = tuple(level_name(level) for level in reversed(range(LEVELS)))
"""The levels' queues, in the order in which a message passes them."""


def dead_letter_name(queue: str) -> str:
    """Where the refused and failed messages of a work queue go; Dramatiq's own suffix."""
    return f"{queue}.XQ"


def ladder() -> Topology:
    """Everything that all work queues share."""
    unroutable = Queue(UNROUTABLE)
    levels = [Exchange(level_name(level), "topic") for level in range(LEVELS)]
    deliver = Exchange(DELIVER, "topic", alternate=UNROUTABLE)
    queues = [_level_queue(level) for level in range(LEVELS)]
    bindings = [
        binding
        for level, below in enumerate([deliver, *levels[:-1]])
        for binding in _level_bindings(level, queue=queues[level], below=below)
    ]
    return Topology(
        exchanges=(Exchange(UNROUTABLE, "fanout"), deliver, *levels),
        queues=(unroutable, *queues),
        bindings=(Binding(UNROUTABLE, unroutable, ""), *bindings),
    )


def work_queue(name: str) -> Topology:
    """A work queue, its dead-letter queue, and its place at the foot of the ladder."""
    queue = Queue(
        name,
        {
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dead_letter_name(name),
            "x-delivery-limit": DELIVERY_LIMIT,
        },
    )
    dead = Queue(dead_letter_name(name), {"x-message-ttl": _milliseconds(DEAD_LETTER_TTL)})
    # One star for each bit, never "#.name": that would also take messages for "other.name".
    pattern = "*." * LEVELS + name
    return Topology(
        exchanges=(), queues=(dead, queue), bindings=(Binding(DELIVER, queue, pattern),)
    )


def _level_queue(level: int) -> Queue:
    below = level_name(level - 1) if level else DELIVER
    return Queue(
        level_name(level),
        {
            "x-message-ttl": _milliseconds(timedelta(seconds=2**level) + CLOCK_STEP),
            "x-dead-letter-exchange": below,
            # A message leaves only once the next level has confirmed it. RabbitMQ falls back to
            # at-most-once without the second of these.
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )


def _level_bindings(level: int, *, queue: Queue, below: Exchange) -> tuple[Binding, Binding]:
    bits_above = "*." * (LEVELS - 1 - level)
    return (
        Binding(queue.name, queue, f"{bits_above}1.#"),
        Binding(queue.name, below, f"{bits_above}0.#"),
    )


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
