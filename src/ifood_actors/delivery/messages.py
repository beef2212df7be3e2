"""
The body of a message: which job to run, and nothing else that matters.

A message may be lost, doubled, late or forged without harm, because the ledger decides. So a job
message holds no fact about the job; anything that does not look exactly like one is refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self
from uuid import UUID

from dramatiq import Message

from ifood_actors.kinds import KINDS, queue_name

_DISPATCH_NO_MAX: Final = 2**31 - 1  # the ledger's column is a Postgres integer
# UUID() also takes braces, capitals and URNs.
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OPTIONS: Final = frozenset({"not_before"})  # set by the broker on a delayed message


@dataclass(frozen=True, slots=True)
class JobMessage:
    """Run this job, if `dispatch_no` is still the number of its latest dispatch."""

    job_id: UUID
    dispatch_no: int

    @property
    def kwargs(self) -> dict[str, str | int]:
        """What the actor is called with, in JSON's types."""
        return {"job_id": str(self.job_id), "dispatch_no": self.dispatch_no}

    @classmethod
    def from_kwargs(cls, kwargs: Mapping[str, object]) -> Self:
        """Read what `kwargs` wrote; ValueError for anything else."""
        if kwargs.keys() != {"job_id", "dispatch_no"}:
            raise ValueError("a job message has exactly job_id and dispatch_no")
        return cls(_job_id(kwargs["job_id"]), _dispatch_no(kwargs["dispatch_no"]))

    @classmethod
    def from_message(cls, message: Message[object]) -> Self:
        """
        Read what `dramatiq_message()` made and a broker delivered.

        Raises ValueError for anything else: an unknown kind, another kind's queue, positional
        arguments, options that this program does not set. The text never repeats what was received.
        """
        if message.actor_name not in KINDS:
            raise ValueError("no such kind")
        if message.queue_name != queue_name(message.actor_name):
            raise ValueError("the kind has another queue")
        if message.args:
            raise ValueError("a job message has no positional arguments")
        if not message.options.keys() <= _OPTIONS:
            raise ValueError("a job message has no option but not_before")
        return cls.from_kwargs(message.kwargs)


def dramatiq_message(kind: str, message: JobMessage) -> Message[None]:
    """Give a job message as Dramatiq sends it; its actor has the kind's name. About 300 bytes."""
    return Message(
        queue_name=queue_name(kind),
        actor_name=kind,
        args=(),
        kwargs=message.kwargs,
        options={},
    )


def _job_id(value: object) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ValueError("job_id is no UUID as the ledger prints it")
    return UUID(value)


def _dispatch_no(value: object) -> int:
    # bool is an int to isinstance, but not to JSON.
    if type(value) is not int or not 1 <= value <= _DISPATCH_NO_MAX:
        raise ValueError(f"dispatch_no is no integer from 1 to {_DISPATCH_NO_MAX}")
    return value
