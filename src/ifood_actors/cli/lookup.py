"""What a person names: jobs by an id or the beginning of one, applications by their name."""

import re
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import Connection, text

from ifood_actors.accounts import application_names
from ifood_actors.errors import UsageError

_HEX = re.compile(r"[0-9a-f-]{1,36}")
# A range of the primary key, so that it costs the same in a table of any size.
_BETWEEN = text("SELECT id FROM ifood_jobs WHERE id BETWEEN :low AND :high ORDER BY id LIMIT 2")


def job_ids(connection: Connection, beginnings: Iterable[str]) -> list[UUID]:
    """Find each job; raises UsageError when one is not there, or several begin like that."""
    found: dict[UUID, None] = {}
    problems = []
    for beginning in beginnings:
        matches = _matches(connection, beginning.lower())
        if len(matches) == 1:
            found[matches[0]] = None  # named twice is meant once
            continue
        problems.append(
            f"several jobs begin with {beginning!r}" if matches else f"no such job: {beginning!r}"
        )
    if problems:
        raise UsageError("\n".join(problems))
    return list(found)


def require_application(connection: Connection, name: str) -> None:
    """Raise UsageError unless there is such an application."""
    if name not in application_names(connection):
        raise UsageError(f"no such application: {name!r}; see `ifood-actors apps list`")


def _matches(connection: Connection, beginning: str) -> list[UUID]:
    digits = beginning.replace("-", "")
    if not _HEX.fullmatch(beginning) or not 1 <= len(digits) <= len("0" * 32):
        return []
    bounds = {"low": UUID(digits.ljust(32, "0")), "high": UUID(digits.ljust(32, "f"))}
    return list(connection.execute(_BETWEEN, bounds).scalars())
