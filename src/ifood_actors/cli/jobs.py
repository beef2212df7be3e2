"""`ifood-actors jobs`: find jobs, show their history, requeue or cancel them."""

from operator import attrgetter
from typing import Annotated

import typer

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
from ifood_actors.cli.output import document, facts, listing, say, table
from ifood_actors.errors import UsageError

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

_COLUMNS = ("id", "kind", "account", "day", "status", "slot", "attempts", "code", "error")
_CELLS = attrgetter(
    *("id", "kind", "account", "job_day", "status", "scheduled_for", "attempts"),
    *("error_code", "last_error"),
)
_EVENT_COLUMNS = ("at", "act", "from", "to", "attempt", "actor", "login", "reason", "detail")
_EVENT_CELLS = attrgetter(
    *("at", "act", "from_status", "to_status", "attempt", "actor", "login", "reason", "detail")
)


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
    from ifood_actors.cli.work import jobs

    wanted = jobs.Wanted(kind, status, account, day, since, error_code)
    found, zone = jobs.matching(wanted, limit=limit + 1)
    listing(found, _COLUMNS, _CELLS, limit=limit, json=json, zone=zone)


@app.command()
def show(
    job: Annotated[str, typer.Argument(metavar="ID", help="An id, or its beginning.")],
    *,
    json: Json = False,
) -> None:
    """Tell everything about one job, with its whole history."""
    from ifood_actors.cli.work import jobs

    (columns, events), zone = jobs.story(job)
    if json:
        document({"job": columns, "history": events})
        return
    facts(columns, zone=zone)
    say()
    table(_EVENT_COLUMNS, list(map(_EVENT_CELLS, events)), zone=zone)


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
    Run jobs again: those named, or all that match.

    Failed jobs, or cancelled ones when they are named or --status says so; attempts count from
    zero. Jobs that are in another status by then are skipped. --since is when they were planned;
    with --error-group it is when they failed, as in `errors`, and the last 24h unless given.
    """
    from ifood_actors.cli.work import jobs

    if failed:
        status = [*(status or []), Status.FAILED]
    jobs.act(
        "requeue",
        ids,
        jobs.Wanted(kind, status, account, day, since, error_code, error_group),
        limit=limit,
        dry_run=dry_run,
        yes=yes,
        json=json,
    )


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
    from ifood_actors.cli.work import jobs

    if set(status or ()) - {Status.PENDING}:
        raise UsageError("--status: only pending jobs can be cancelled")
    jobs.act(
        "cancel",
        ids,
        jobs.Wanted(kind, status, account, day, since, error_code),
        limit=limit,
        dry_run=dry_run,
        yes=yes,
        json=json,
    )
