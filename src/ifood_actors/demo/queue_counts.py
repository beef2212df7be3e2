"""What RabbitMQ's management API says of our queues."""

from dataclasses import dataclass
from typing import Any

from ifood_actors.broker.topology import LEVELS, level_name
from ifood_actors.embedded import Management
from ifood_actors.kinds import KINDS, queue_name

_LADDER = {level_name(level) for level in range(LEVELS)}
_WORK = {queue_name(kind) for kind in KINDS}


@dataclass(frozen=True)
class Queues:
    """
    Messages by where they are, as of RabbitMQ's last statistics (every 5 s).

    `delayed` wait in the ladder; of the others, workers hold `unacked`, and `ready` wait for one.
    """

    delayed: int
    delayed_unacked: int
    ready: int
    unacked: int
    consumers: int


def count_queues(management: Management) -> Queues:
    """Ask for all queues at once."""
    columns = "name,messages_ready,messages_unacknowledged,consumers"
    answer: Any = management.get(f"/api/queues?columns={columns}")
    ladder = [queue for queue in answer if queue["name"] in _LADDER]
    work = [queue for queue in answer if queue["name"] in _WORK]
    return Queues(
        delayed=_sum(ladder, "messages_ready"),
        delayed_unacked=_sum(ladder, "messages_unacknowledged"),
        ready=_sum(work, "messages_ready"),
        unacked=_sum(work, "messages_unacknowledged"),
        consumers=_sum(work, "consumers"),
    )


def _sum(queues: list[dict[str, Any]], figure: str) -> int:
    # A queue that was declared just now has no figures yet.
    return sum(queue.get(figure, 0) for queue in queues)
