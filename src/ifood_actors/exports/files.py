"""Files that are there as a whole, or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ifood_actors.errors import IfoodActorsError, UsageError


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """
    Give a file to write, which takes its name, and the place of a former one, at the end.

    Until then it stands beside it under a name of its own; an exception removes it. Only its owner
    may read it, with any folder and umask. Raises UsageError when it cannot be made,
    IfoodActorsError when it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no file")  # such as a folder, or /dev/null
        # By a random name: in a shared folder, another user could have made a known one already.
        handle, unfinished = tempfile.mkstemp(".part", f".{path.name}.", path.parent)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        Path(unfinished).replace(path)
    except OSError as error:
        raise IfoodActorsError(f"cannot write {path}: {error.strerror}") from None
    finally:
        Path(unfinished).unlink(missing_ok=True)
