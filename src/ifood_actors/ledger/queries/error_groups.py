"""
Failed jobs in groups: those with the same kind, error code and normalised message. Only reads.

A group's id is made from these three, so it is the same today and tomorrow, here and elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from uuid import UUID

from sqlalchemy import Connection

from ifood_actors.db import read

_SAMPLES = 3
_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?"
# What differs from one failure to the next, the larger before what it is made of. A quote inside
# a word is an apostrophe, and a page is known by its title. No `(?:`, which would be a parameter.
_VARYING = (
    (r"https?://[^\s''\"<>]+", "<url>"),
    (r"(?<!\w)(?<!HTML page )(''[^'']*''|\"[^\"]*\")(?!\w)", "<value>"),
    (r"\m[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\M", "<id>"),
    (f"{_DAY}([T ]{_TIME})?", "<date>"),
    (r"[0-9]+([.,][0-9]+)*", "<n>"),
)
_MESSAGE = reduce(
    lambda text, varying: f"regexp_replace({text}, '{varying[0]}', '{varying[1]}', 'g')",
    _VARYING,
    "coalesce(job.last_error, '')",
)
_WHOLE_ID = f"concat_ws(chr(31), job.job_type, coalesce(job.error_code, ''), {_MESSAGE})"
# SQL, on `job`: eight hexadecimal digits.
GROUP_ID = f"left(encode(sha256(convert_to({_WHOLE_ID}, 'UTF8')), 'hex'), 8)"


@dataclass(frozen=True)
class ErrorGroup:
    """Failed jobs of one group; the samples are its latest."""

    id: str
    kind: str
    error_code: str | None
    message: str
    jobs: int
    first_seen: datetime
    last_seen: datetime
    sample_jobs: Sequence[UUID]


def error_groups(
    connection: Connection, *, since: timedelta, kind: str | None = None, limit: int = 50
) -> list[ErrorGroup]:
    """Group the jobs that failed within `since` and were not requeued, most common first."""
    return read(
        ErrorGroup,
        connection,
        f"""
        SELECT {GROUP_ID} AS id, job.job_type AS kind, job.error_code, {_MESSAGE} AS message,
          count(*) AS jobs, min(job.finished_at) AS first_seen, max(job.finished_at) AS last_seen,
          (array_agg(job.id ORDER BY job.finished_at DESC))[1:{_SAMPLES}] AS sample_jobs
        FROM ifood_jobs AS job
        WHERE job.status = 'failed' AND job.finished_at > now() - CAST(:since AS interval)
          AND job.job_type = coalesce(CAST(:kind AS text), job.job_type)
        GROUP BY 1, 2, 3, 4 ORDER BY jobs DESC, last_seen DESC, id LIMIT :limit
        """,
        since=since,
        kind=kind,
        limit=limit,
    )
