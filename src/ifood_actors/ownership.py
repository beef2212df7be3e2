"""What another user owns or may write is not taken for ours: a file of settings, a folder."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ifood_actors.errors import UsageError

_ROOT = 0
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


@contextmanager
def opened(path: Path, *, named: str, encoding: str = "utf-8") -> Iterator[TextIO]:
    """
    Open a file, or a pipe, that is root's or this user's, and that no other user may write.

    Raises UsageError for another one, and OSError when it cannot be opened.
    """
    with open(path, encoding=encoding, opener=_without_waiting) as file:
        _require_ours(path, os.fstat(file.fileno()), named=named)
        os.set_blocking(file.fileno(), True)
        yield file


def require_our_folder(path: Path, *, named: str) -> None:
    """Raise UsageError for a folder that is another user's, or in which one may make files."""
    _require_ours(path, path.stat(), named=named)


def _without_waiting(path: str, flags: int) -> int:
    """Open it also where it is a pipe without a writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def _require_ours(path: Path, found: os.stat_result, *, named: str) -> None:
    # A link of another user's is as bad as a file: it says which of ours is read. And the name must
    # lead to what was opened, or it may have been such a link for a moment.
    name, leads_to = path.lstat(), path.stat()
    strangers = {found.st_uid, name.st_uid} - {_ROOT, os.geteuid()}
    if strangers or not os.path.samestat(found, leads_to):
        raise UsageError(f"{named}: {path} is not yours, nor root's: chown it, or take another")
    is_device = stat.S_ISCHR(found.st_mode)  # as /dev/null is
    if found.st_mode & _OTHERS_MAY_WRITE and not is_device:
        raise UsageError(f"{named}: other users may write {path}: chmod go-w it, or take another")
