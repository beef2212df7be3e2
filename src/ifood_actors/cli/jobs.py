"""`ifood-actors jobs`: find jobs, tell their story, run them anew or take them out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import typer

from ifood_actors.cli.choice import Wanted, choose, require_choice
from ifood_actors.cli.options import (
    MOST,
    AccountFilter,
    Day,
    DryRun,
    Json,
    KindFilter,
    Since,
    Status,
    Yes,
    given,
)
from ifood_actors.cli.output import confirm, count, document, facts, note, outcome, say, table
from ifood_actors.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy import Engine

app = typer.Typer(help="Jobs: find, tell, requeue, cancel.", no_args_is_help=True)

StatusFilter = Annotated[
    list[Status] | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="pending, running, success, failed or cancelled; may be given again.",
    ),
]
CodeFilter = Annotated[
    str | None,
    typer.Option("--error-code", parser=given, metavar="CODE", help="Only with this error."),
]
Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="Ids, or beginnings that fit one job each."),
]
AtMost = Annotated[
    int | None, typer.Option("--limit", min=1, max=MOST, help="At most so many, oldest first.")
]

_PAST = {"requeue": "requeued", "cancel": "cancelled"}


@app.command("list")
def list_(
    *,
    kind: KindFilter = None,
    status: StatusFilter = None,
    account: AccountFilter = None,
    day: Day = None,
    since: Since = None,
    error_code: CodeFilter = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """List jobs, latest planned first."""
    from ifood_actors.cli.database import open_database
    from ifood_actors.config import loading
    from ifood_actors.db import transaction
    from ifood_actors.ledger import queries

    settings = loading.load()
    with open_database(settings) as engine, transaction(engine) as tx:
        wanted = Wanted(kind, status, account, day, since, error_code)
        rows = queries.find_jobs(tx, wanted.filter(tx), limit=limit + 1)
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
    from ifood_actors.cli.database import open_database
    from ifood_actors.cli.lookup import job_ids
    from ifood_actors.config import loading
    from ifood_actors.db import transaction
    from ifood_actors.ledger import queries

    settings = loading.load()
    with open_database(settings) as engine, transaction(engine) as tx:
        [job_id] = job_ids(tx, [job])
        columns = dict(queries.job_facts(tx, job_id) or {})
        events = queries.history(tx, job_id)
    if json:
        document({"job": columns, "history": events})
        return
    facts(columns, zone=settings.timezone)
    say()
    table(
        ("at", "act", "from", "to", "attempt", "actor", "login", "reason", "detail"),
        [
            (
                *(e.at, e.act, e.from_status, e.to_status, e.attempt),
                *(e.actor, e.login, e.reason, e.detail),
            )
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
    day: Day = None,
    since: Since = None,
    error_code: CodeFilter = None,
    error_group: Annotated[
        str | None,
        typer.Option(parser=given, metavar="ID", help="Exactly this group of `errors`."),
    ] = None,
    limit: AtMost = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """
    Run jobs anew: those named, or all that match.

    Failed jobs, or cancelled ones when they are named or --status says so; attempts count from
    zero. Jobs that are in another status by then are skipped. --since is when they were planned;
    with --error-group it is when they failed, as in `errors`, and the last 24h unless given.
    """
    if failed:
        status = [*(status or []), Status.FAILED]
    wanted = Wanted(kind, status, account, day, since, error_code, error_group)
    require_choice(ids, wanted)
    with _open() as engine:
        job_ids = choose(engine, ids, wanted, default=Status.FAILED, limit=limit)
        _act(engine, "requeue", job_ids, scope=wanted.scope, dry_run=dry_run, yes=yes, json=json)


@app.command()
def cancel(
    ids: Ids = None,
    *,
    kind: KindFilter = None,
    status: Annotated[
        list[Status] | None,
        typer.Option("--status", metavar="STATUS", help="pending: no others can be cancelled."),
    ] = None,
    account: AccountFilter = None,
    day: Day = None,
    since: Since = None,
    error_code: CodeFilter = None,
    limit: AtMost = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Take pending jobs out: those named, or all that match."""
    if set(status or ()) - {Status.PENDING}:
        raise UsageError("--status: only pending jobs can be cancelled")
    wanted = Wanted(kind, status, account, day, since, error_code)
    require_choice(ids, wanted)
    with _open() as engine:
        job_ids = choose(engine, ids, wanted, default=Status.PENDING, limit=limit)
        _act(engine, "cancel", job_ids, dry_run=dry_run, yes=yes, json=json)


@contextmanager
def _open() -> "Iterator[Engine]":
    from ifood_actors.cli.database import open_database
    from ifood_actors.config import loading

    with open_database(loading.load()) as engine:
        yield engine


def _act(
    engine: "Engine",
    verb: Literal["requeue", "cancel"],
    job_ids: Sequence[UUID],
    *,
    scope: str = "",
    dry_run: bool,
    yes: bool,
    json: bool,
) -> None:
    """Have the ledger do it once it is wanted, and say honestly to how many."""
    from ifood_actors import operator_acts
    from ifood_actors.cli.caller import operator
    from ifood_actors.db import transaction
    from ifood_actors.ledger import Ledger

    meant, past = f"{count(len(job_ids), 'job')}{scope}", _PAST[verb]
    if dry_run:
        would = {"dry_run": True, past: len(job_ids), "skipped": 0}
        outcome(f"would {verb} {meant}", would, json=json)
        return
    confirm(f"{verb} {meant}?", yes=yes)
    with transaction(engine) as tx:
        ledger = Ledger(tx, actor=operator())
        act = ledger.requeue if verb == "requeue" else ledger.cancel
        ids = act(job_ids, reason=f"by hand: jobs {verb}")
        done, skipped = len(ids), len(job_ids) - len(ids)
        if done:
            named = operator_acts.few(map(str, ids))
            operator_acts.note(
                tx, f"jobs {verb}", actor=operator(), jobs=done, skipped=skipped, ids=named
            )
    told = {"dry_run": False, past: done, "skipped": skipped}
    outcome(f"{past} {done:,}, skipped {skipped:,}", told, json=json)
