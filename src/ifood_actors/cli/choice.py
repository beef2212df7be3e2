"""Which jobs a person means: those that are named, or all that match filters."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from ifood_actors.cli.options import ERRORS_SINCE, KindName, Status
from ifood_actors.cli.output import duration
from ifood_actors.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from ifood_actors.ledger.queries import JobFilter


@dataclass(frozen=True)
class Wanted:
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

    def filter(self, tx: "Connection", *, default: Status | None = None) -> "JobFilter":
        from ifood_actors.accounts import require_known
        from ifood_actors.db import database_now
        from ifood_actors.ledger.queries import JobFilter

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
        return any((self.kind, self.statuses, self.account, self.day, self.since)) or any(
            (self.error_code, self.error_group)
        )


def require_choice(named: Sequence[str] | None, wanted: Wanted) -> None:
    """Raise UsageError unless it is clear which jobs; an empty command line never means all."""
    if bool(named) == bool(wanted):
        raise UsageError("name jobs, or give filters such as --kind and --since; one of the two")


def choose(
    engine: "Engine",
    named: Sequence[str] | None,
    wanted: Wanted,
    *,
    default: Status,
    limit: int | None,
) -> list[UUID]:
    """Find the jobs that are meant."""
    from ifood_actors.cli.lookup import job_ids
    from ifood_actors.db import transaction
    from ifood_actors.ledger import queries

    with transaction(engine) as tx:
        if named:
            return job_ids(tx, named)
        found = queries.find_job_ids(tx, wanted.filter(tx, default=default), limit=limit)
    if wanted.error_group and not found:
        raise UsageError(f"there is no job{wanted.scope}: see `ifood-actors errors`")
    return found
