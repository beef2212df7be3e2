"""Jobs as a person means them, by id or by filters: found, told, requeued, cancelled."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from ifood_actors import operator_acts
from ifood_actors.accounts import require_known
from ifood_actors.cli.options import ERRORS_SINCE, KindName, Status
from ifood_actors.cli.output import agreed, count, duration, outcome
from ifood_actors.cli.work.caller import operator
from ifood_actors.cli.work.database import opened, read
from ifood_actors.db import database_now
from ifood_actors.errors import UsageError
from ifood_actors.ledger import Ledger
from ifood_actors.ledger.queries.jobs import (
    EventRow,
    JobFilter,
    JobRow,
    find_job_ids,
    find_jobs,
    history,
    job_facts,
)

# Of each verb: what was done then, and to jobs of which status unless filters say so.
_VERBS = {"requeue": ("requeued", Status.FAILED), "cancel": ("cancelled", Status.PENDING)}
_HEX = re.compile(r"[0-9a-f-]{1,36}")
# A range of the primary key, so that it costs the same in a table of any size.
_BETWEEN = text("SELECT id FROM ifood_jobs WHERE id BETWEEN :low AND :high ORDER BY id LIMIT 2")


@dataclass(frozen=True)
class Wanted:
    """The filters of a command; false when there is none."""

    kind: KindName | None
    statuses: Sequence[Status] | None
    account: str | None
    day: date | None
    since: timedelta | None
    error_code: str | None
    error_group: str | None = None

    @property
    def scope(self) -> str:
        """Say what is counted, where it is not what the options say by themselves."""
        if not self.error_group:
            return ""
        back = duration(self.since or ERRORS_SINCE)
        return f" of error group {self.error_group}, failed in the last {back}"

    def filter(self, tx: Connection, *, default: Status | None = None) -> JobFilter:
        if self.account:
            require_known(tx, [self.account])
        now = database_now(tx)
        earliest = now - self.since if self.since else None
        return JobFilter(
            kind=self.kind,
            statuses=self.statuses or ([default] if default else []),
            account=self.account,
            day=self.day,
            error_code=self.error_code,
            error_group=self.error_group,
            since=None if self.error_group else earliest,
            ended_since=(earliest or now - ERRORS_SINCE) if self.error_group else None,
        )

    def __bool__(self) -> bool:
        return any(vars(self).values())


def matching(wanted: Wanted, *, limit: int) -> tuple[Sequence[JobRow], ZoneInfo]:
    """Give the jobs that match, latest planned first, and the zone to show them in."""
    return read(lambda tx: find_jobs(tx, wanted.filter(tx), limit=limit))


def story(beginning: str) -> tuple[tuple[Mapping[str, object], Sequence[EventRow]], ZoneInfo]:
    """Give the columns of a job and its history, and the zone to show them in."""

    def told(tx: Connection) -> tuple[Mapping[str, object], Sequence[EventRow]]:
        [job_id] = job_ids(tx, [beginning])
        return job_facts(tx, job_id) or {}, history(tx, job_id)

    return read(told)


def act(
    verb: Literal["requeue", "cancel"],
    ids: Sequence[str] | None,
    wanted: Wanted,
    *,
    limit: int | None,
    dry_run: bool,
    yes: bool,
    json: bool,
) -> None:
    """
    Have the ledger do it once it is agreed, and say honestly to how many.

    Raises UsageError unless it is clear which jobs; an empty command line never means all.
    """
    if bool(ids) == bool(wanted):
        raise UsageError("name jobs, or give filters such as --kind and --since; one of the two")
    past, default = _VERBS[verb]
    with opened() as command:
        meant = command.read(_meant, ids, wanted, default=default, limit=limit)
        what = f"{verb} {count(len(meant), 'job')}{wanted.scope}"
        would = {past: len(meant), "skipped": 0}
        if not agreed(what, would, dry_run=dry_run, yes=yes, json=json):
            return
        with command.act(f"jobs {verb}") as (tx, note):
            ledger = Ledger(tx, actor=operator())
            moved = ledger.requeue if verb == "requeue" else ledger.cancel
            done = moved(meant, reason=f"by hand: jobs {verb}")
            skipped = len(meant) - len(done)
            if done:
                note(jobs=len(done), skipped=skipped, ids=operator_acts.few(map(str, done)))
    told = {"dry_run": False, past: len(done), "skipped": skipped}
    outcome(f"{past} {len(done):,}, skipped {skipped:,}", told, json=json)


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


def _meant(
    tx: Connection,
    named: Sequence[str] | None,
    wanted: Wanted,
    *,
    default: Status,
    limit: int | None,
) -> list[UUID]:
    if named:
        return job_ids(tx, named)
    found = find_job_ids(tx, wanted.filter(tx, default=default), limit=limit)
    if wanted.error_group and not found:
        raise UsageError(f"there is no job{wanted.scope}: see `ifood-actors errors`")
    return found


def _matches(connection: Connection, beginning: str) -> list[UUID]:
    digits = beginning.replace("-", "")
    if not _HEX.fullmatch(beginning) or not 1 <= len(digits) <= len("0" * 32):
        return []
    bounds = {"low": UUID(digits.ljust(32, "0")), "high": UUID(digits.ljust(32, "f"))}
    return list(connection.execute(_BETWEEN, bounds).scalars())
