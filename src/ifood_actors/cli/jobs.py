"""`ifood-actors jobs`: find jobs, tell their story, run them anew or take them out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from ifood_actors.cli.options import (
    ERRORS_SINCE,
    DryRun,
    Json,
    Kind,
    KindFilter,
    Since,
    Status,
    Yes,
)
from ifood_actors.cli.output import confirm, count, document, duration, facts, note, say, table
from ifood_actors.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from ifood_actors.ledger import Ledger
    from ifood_actors.ledger.search import JobFilter

app = typer.Typer(help="Jobs: find, tell, requeue, cancel.", no_args_is_help=True)

StatusFilter = Annotated[
    list[Status] | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="pending, running, success, failed or cancelled; may be given again.",
    ),
]
AccountFilter = Annotated[
    str | None,
    typer.Option(
        "--account", metavar="NAME", help="Only of this account: a name or a merchant id."
    ),
]
CodeFilter = Annotated[
    str | None, typer.Option("--error-code", metavar="CODE", help="Only with this error.")
]
Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="Ids, or beginnings that fit one job each."),
]
AtMost = Annotated[
    int | None, typer.Option("--limit", min=1, help="At most so many, oldest first.")
]


@app.command("list")
def list_(
    *,
    kind: KindFilter = None,
    status: StatusFilter = None,
    account: AccountFilter = None,
    since: Since = None,
    error_code: CodeFilter = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """List jobs, latest planned first."""
    from ifood_actors import config
    from ifood_actors.cli.database import open_database
    from ifood_actors.db import transaction
    from ifood_actors.ledger import search

    settings = config.load()
    with open_database(settings) as engine, transaction(engine) as tx:
        wanted = _Wanted(kind, status, account, since, error_code)
        rows = search.find_jobs(tx, wanted.filter(tx), limit=limit + 1)
    if json:
        document(rows[:limit])
    else:
        table(
            ("id", "kind", "account", "day", "status", "slot", "attempts", "code", "error"),
            [
                (
                    *(r.id, r.kind, r.account, r.job_day, r.status, r.scheduled_for),
                    *(r.attempts, r.error_code, r.last_error),
                )
                for r in rows[:limit]
            ],
            zone=settings.timezone,
        )
    if len(rows) > limit:
        note(f"only the first {limit} are shown: see --limit")


@app.command()
def show(
    job: Annotated[str, typer.Argument(metavar="ID", help="An id, or its beginning.")],
    *,
    json: Json = False,
) -> None:
    """Tell everything about one job, with its whole history."""
    from ifood_actors import config
    from ifood_actors.cli.database import open_database
    from ifood_actors.cli.lookup import job_ids
    from ifood_actors.db import transaction
    from ifood_actors.ledger import search

    settings = config.load()
    with open_database(settings) as engine, transaction(engine) as tx:
        [job_id] = job_ids(tx, [job])
        columns = dict(search.job_facts(tx, job_id) or {})
        events = search.history(tx, job_id)
    if json:
        document({"job": columns, "history": events})
        return
    facts(columns, zone=settings.timezone)
    say()
    table(
        ("at", "act", "from", "to", "attempt", "actor", "reason", "detail"),
        [
            (e.at, e.act, e.from_status, e.to_status, e.attempt, e.actor, e.reason, e.detail)
            for e in events
        ],
        zone=settings.timezone,
    )


@app.command()
def requeue(
    ids: Ids = None,
    *,
    failed: Annotated[bool, typer.Option("--failed", help="All failed jobs that match.")] = False,
    kind: KindFilter = None,
    status: StatusFilter = None,
    account: AccountFilter = None,
    since: Since = None,
    error_code: CodeFilter = None,
    error_group: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Exactly this group of `errors`."),
    ] = None,
    limit: AtMost = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """
    Run jobs anew: those named, or all that match.

    Failed jobs, or cancelled ones when they are named or --status says so; attempts count from
    zero. Jobs that are in another status by then are skipped. --since is when they were planned;
    with --error-group it is when they failed, as in `errors`, and the last 24h unless given.
    """
    if failed:
        status = [*(status or []), Status.FAILED]
    wanted = _Wanted(kind, status, account, since, error_code, error_group)
    _require_choice(ids, wanted)
    with _open() as engine:
        job_ids = _choose(engine, ids, wanted, default=Status.FAILED, limit=limit)
        meant = f"{count(len(job_ids), 'job')}{wanted.scope}"
        if dry_run:
            say(f"would requeue {meant}")
            return
        confirm(f"requeue {meant}?", yes=yes)
        with _acting(engine) as ledger:
            done = ledger.requeue(job_ids, reason="by hand: jobs requeue")
    say(f"requeued {len(done):,}, skipped {len(job_ids) - len(done):,}")


@app.command()
def cancel(
    ids: Ids = None,
    *,
    kind: KindFilter = None,
    account: AccountFilter = None,
    since: Since = None,
    error_code: CodeFilter = None,
    limit: AtMost = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Take pending jobs out: those named, or all that match."""
    wanted = _Wanted(kind, None, account, since, error_code)
    _require_choice(ids, wanted)
    with _open() as engine:
        job_ids = _choose(engine, ids, wanted, default=Status.PENDING, limit=limit)
        if dry_run:
            say(f"would cancel {count(len(job_ids), 'job')}")
            return
        confirm(f"cancel {count(len(job_ids), 'job')}?", yes=yes)
        with _acting(engine) as ledger:
            done = ledger.cancel(job_ids, reason="by hand: jobs cancel")
    say(f"cancelled {len(done):,}, skipped {len(job_ids) - len(done):,}")


@dataclass(frozen=True)
class _Wanted:
    kind: Kind | None
    statuses: Sequence[Status] | None
    account: str | None
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
        from ifood_actors.ledger.search import JobFilter

        if self.account:
            require_known(tx, [self.account])
        now = database_now(tx)
        earliest = now - self.since if self.since else None
        return JobFilter(
            kind=self.kind,
            statuses=self.statuses or ([default] if default else []),
            account=self.account,
            error_code=self.error_code,
            error_group=self.error_group,
            since=None if self.error_group else earliest,
            ended_since=(earliest or now - ERRORS_SINCE) if self.error_group else None,
        )

    def __bool__(self) -> bool:
        return any(
            (self.kind, self.statuses, self.account, self.since, self.error_code, self.error_group)
        )


def _require_choice(named: Sequence[str] | None, wanted: _Wanted) -> None:
    """Raise UsageError unless it is clear which jobs; an empty command line never means all."""
    if bool(named) == bool(wanted):
        raise UsageError("name jobs, or give filters such as --kind and --since; one of the two")


def _choose(
    engine: "Engine",
    named: Sequence[str] | None,
    wanted: _Wanted,
    *,
    default: Status,
    limit: int | None,
) -> list[UUID]:
    """Find the jobs that are meant."""
    from ifood_actors.cli.lookup import job_ids
    from ifood_actors.db import transaction
    from ifood_actors.ledger import search

    with transaction(engine) as tx:
        if named:
            return job_ids(tx, named)
        found = search.find_job_ids(tx, wanted.filter(tx, default=default), limit=limit)
    if wanted.error_group and not found:
        raise UsageError(f"there is no job{wanted.scope}: see `ifood-actors errors`")
    return found


@contextmanager
def _open() -> "Iterator[Engine]":
    from ifood_actors import config
    from ifood_actors.cli.database import open_database

    with open_database(config.load()) as engine:
        yield engine


@contextmanager
def _acting(engine: "Engine") -> "Iterator[Ledger]":
    from ifood_actors.cli.database import operator
    from ifood_actors.db import transaction
    from ifood_actors.ledger import Ledger

    with transaction(engine) as tx:
        yield Ledger(tx, actor=operator())
