"""
A process is killed with -9 before and after each commit, publish, confirm and ack.

The proxies see the bytes that are about to be sent, or have just been, and kill the process whose
they are: each of the twelve points is hit exactly, not by luck. "Before" means that the bytes never
arrived.
"""

import pytest
from chaos.hosts import LEASE, Host
from chaos.invariants import check
from support.clock import PATIENCE_SECONDS

# Of AMQP 0-9-1: the method frames basic.publish, and basic.ack, which is a confirm when RabbitMQ
# sends it.
PUBLISH = rb"\x01..\x00\x00..\x00\x3c\x00\x28"
ACK = rb"\x01..\x00\x00..\x00\x3c\x00\x50"
# Of Postgres' protocol: the act as a bound parameter, and the query that commits.
COMMIT = rb"COMMIT\x00"


def act(name: str) -> bytes:
    return len(name).to_bytes(4, "big") + name.encode()


# The order of a job's life.
POINTS = {
    "scheduler, before it publishes": ("scheduler", "broker", (PUBLISH,), "up", "before"),
    "scheduler, after it published": ("scheduler", "broker", (PUBLISH,), "up", "after"),
    "scheduler, before the confirm": ("scheduler", "broker", (ACK,), "down", "before"),
    "scheduler, after the confirm": ("scheduler", "broker", (ACK,), "down", "after"),
    "scheduler, before it commits": (
        "scheduler",
        "database",
        (act("dispatch"), COMMIT),
        "up",
        "before",
    ),
    "scheduler, after it committed": (
        "scheduler",
        "database",
        (act("dispatch"), COMMIT),
        "up",
        "after",
    ),
    "worker, before it commits the claim": (
        "worker",
        "database",
        (act("claim"), COMMIT),
        "up",
        "before",
    ),
    "worker, after it committed the claim": (
        "worker",
        "database",
        (act("claim"), COMMIT),
        "up",
        "after",
    ),
    "worker, before it commits success": (
        "worker",
        "database",
        (act("succeed"), COMMIT),
        "up",
        "before",
    ),
    "worker, after it committed success": (
        "worker",
        "database",
        (act("succeed"), COMMIT),
        "up",
        "after",
    ),
    "worker, before it acks": ("worker", "broker", (ACK,), "up", "before"),
    "worker, after it acked": ("worker", "broker", (ACK,), "up", "after"),
}
FIGURE = (
    90.0 - 60.0 + LEASE.total_seconds()
)  # claimed again within 90 s of the kill, 60 of them the lease


@pytest.mark.parametrize("point", POINTS)
def test_killed(chaos, recovery, point):
    role, leg, patterns, direction, when = POINTS[point]
    armed = chaos.arm(role, leg, patterns, direction, when, Host.kill)

    chaos.plan()
    assert armed.fired.wait(PATIENCE_SECONDS), "the point was never passed"
    recovery.begin()
    chaos.heal()  # whoever supervises it starts the process again
    recovery.until(chaos.idle, figure=FIGURE)

    check(chaos)
    if role == "worker":  # RabbitMQ still has the message: nobody may have had to miss it
        missed = (
            "SELECT FROM ifood_job_events WHERE job_id = ANY(:ids) AND detail ->> 'missed' = 'true'"
        )
        assert chaos.rows(missed, ids=[job["id"] for job in chaos.jobs()]) == []
