"""Who acts, as `actor`, `locked_by` and `created_by` hold it: a role, a space, and a name."""

import os
import socket
from enum import StrEnum


class Role(StrEnum):
    """The first word of an actor: which program it is."""

    SCHEDULER = "scheduler"
    WORKER = "worker"
    CLI = "cli"


def process_actor(role: Role) -> str:
    """Name this process, such as `scheduler host:123`."""
    return f"{role} {socket.gethostname()}:{os.getpid()}"


def role_of(column: str) -> str:
    """Give SQL for the role of the actor in a column."""
    return f"split_part({column}, ' ', 1)"
