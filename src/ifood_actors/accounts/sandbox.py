"""
A sheet from outside, read within limits: a workbook in a process of its own with little memory.

One of some kilobytes may unpack to gigabytes, or have a single cell in its last row and
column, for which the reading library makes room for all that lie before it.
"""

import os
import resource
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from ifood_actors.accounts.lines import BadSheet
from ifood_actors.accounts.sheet import WORKBOOKS, Sheet, read_sheet

LARGEST = 64 * 1024 * 1024  # bytes of a file; a thousand accounts are 100 KB
_MEMORY = 1024 * 1024 * 1024  # bytes; 100,000 accounts need a tenth
_SECONDS = 60  # of the processor
_TOO_LARGE = (
    f"the workbook needs more than {_MEMORY // 1024**3} GiB of memory, or {_SECONDS} s, to be "
    "read: copy its filled cells into a new one, or save it as CSV UTF-8"
)


def read_bounded(content: bytes, *, apps: Collection[str], name: str | None) -> Sheet:
    """Do as `read_sheet`; raises BadSheet as well for one that cannot be read within the limits."""
    if len(content) > LARGEST:
        raise BadSheet([f"the file is larger than {LARGEST:,} bytes: split it"])
    if not content.startswith(WORKBOOKS):
        return read_sheet(content, apps=apps, name=name)
    with ProcessPoolExecutor(1, get_context("spawn"), _limit) as pool:
        try:
            found = pool.submit(_read, content, set(apps), name).result()
        except (BrokenProcessPool, MemoryError):  # the library ends its process when it gets none
            raise BadSheet([_TOO_LARGE]) from None
    if isinstance(found, Sheet):
        return found
    raise BadSheet(found)


def _read(content: bytes, apps: set[str], name: str | None) -> Sheet | list[str]:
    try:
        return read_sheet(content, apps=apps, name=name)
    except BadSheet as error:  # an exception would come back with its text alone
        return error.problems


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what the library prints then is not for people
