"""What the programs beside this module are told, and the job that all of them run."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

DATABASE_URL = os.environ["PEER_DATABASE_URL"]
BROKER_URL = os.environ["PEER_BROKER_URL"]
_SECONDS = float(os.environ["PEER_SECONDS"])  # how long a job waits
_ENDED = os.environ["PEER_ENDED"]  # a file to which each job adds its number, or none


def wait(number: int) -> None:
    """Run a job in a thread."""
    if _SECONDS:
        time.sleep(_SECONDS)  # noqa: TID251 - the work of the job
    _note(number)


async def wait_async(number: int) -> None:
    """Run a job in an event loop."""
    if _SECONDS:
        await asyncio.sleep(_SECONDS)
    _note(number)


def carry_out(
    *, prepare: Callable[[], None], enqueue: Callable[[int], None], work: Callable[[int], None]
) -> None:
    """Do what the command line says: make tables, enqueue N jobs, or work on N at a time."""
    match sys.argv[1:]:
        case ["prepare"]:
            prepare()
        case ["enqueue", jobs]:
            enqueue(int(jobs))
        case ["work", at_a_time]:
            work(int(at_a_time))


def _note(number: int) -> None:
    if _ENDED:
        with Path(_ENDED).open("a") as ended:  # one small write, never mixed with another's
            ended.write(f"{number}\n")
