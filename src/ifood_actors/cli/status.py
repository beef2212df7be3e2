"""`ifood-actors status`: how the open runs are going."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import compress
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from ifood_actors.cli.options import Json, Status
from ifood_actors.cli.output import (
    count,
    document,
    duration,
    lines,
    note,
    picked,
    rich_table,
    say,
    vanished_rows,
)
from ifood_actors.errors import UsageError
from ifood_actors.signal_pipe import SignalPipe

if TYPE_CHECKING:
    from rich.console import Console, Group

    from ifood_actors.cli.work.status import Overview
    from ifood_actors.ifood.limiter.usage import LimitUse
    from ifood_actors.ledger.queries.runs import OutsideRuns, RunProgress

    ReadOverview = Callable[[], Overview]

_COLUMNS = (
    *("kind", "day", "planned", "due", "pending", "running", "success", "failed", "cancelled"),
    *("late p50", "late p95"),
)
# What --json tells of a run and of a limiter, and which of it are lengths of time.
_RUN = (
    *("kind", "job_day", "window_start", "window_end", "planned", "due", *Status),
    *("progress", "vanished", "vanished_stores", "lateness_p50", "lateness_p95"),
)
_LIMITER = (
    *("app", "endpoint_group", "reserved_ahead", "closed_for", "closed_reason"),
    *("breaker_open_for", "blocked_by"),
)
_TIMES = {"lateness_p50", "lateness_p95", "reserved_ahead", "closed_for", "breaker_open_for"}
# Where there is no room for all; a date or a number that goes on below would be misread.
_LEFT_OUT = {"planned", "cancelled", "late p50", "late p95"}


def status(
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.2, help="Seconds between two readings.")] = 2.0,
    json: Json = False,
) -> None:
    """
    Show how the open runs are going.

    Jobs by kind and status, progress, lateness of first claims, throughput, the oldest pending job
    and each limiter: how far ahead it is reserved, whether it is in cooldown and why, what limit
    iFood has named. A run is shown for a day, and while it is open.
    """
    from ifood_actors.cli.work import status

    if watch and json:
        raise UsageError("--watch and --json: give one of them; JSON is one document")
    with status.overviews() as read:
        if not watch:
            _show(read(), json=json)
        elif sys.stdout.isatty():
            _watch_live(read, seconds=interval)
        else:
            _watch_lines(read, seconds=interval)


def _show(overview: "Overview", *, json: bool) -> None:
    if json:
        document(_facts(overview))
        return
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console(highlight=False)
        console.print(_page(overview, console))
        return
    for line in lines(_COLUMNS, _rows(overview.runs), zone=overview.zone):
        say(line)
    for line in _sentences(overview):
        say(line)


def _watch_live(read: "ReadOverview", *, seconds: float) -> None:
    from rich.live import Live

    with _until_stopped() as stopped, Live(auto_refresh=False) as live:
        live.update(_page(read(), live.console), refresh=True)
        while not stopped(seconds):
            live.update(_page(read(), live.console), refresh=True)


def _watch_lines(read: "ReadOverview", *, seconds: float) -> None:
    with _until_stopped() as stopped:
        while True:
            overview = read()
            for line in _progress(overview):
                say(f"{overview.at.astimezone(overview.zone):%H:%M:%S} {line}")
            if not overview.runs:
                note("no open run")
            sys.stdout.flush()
            if stopped(seconds):
                return


@contextmanager
def _until_stopped() -> Iterator[Callable[[float], bool]]:
    """Give a wait of some seconds that TERM and INT end with True; the second acts as ever."""
    signals = SignalPipe()

    def stop(signum: int, _frame: FrameType | None) -> None:
        signal.signal(signum, former[signal.Signals(signum)])

    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield signals.wait
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        signals.close()


def _page(overview: "Overview", console: "Console") -> "Group":
    from rich.console import Group
    from rich.text import Text

    rows = _rows(overview.runs)
    runs = rich_table(_COLUMNS, rows, zone=overview.zone)
    if console.measure(runs, options=console.options.update(width=1_000)).maximum > console.width:
        kept = [name not in _LEFT_OUT for name in _COLUMNS]
        few = [tuple(compress(row, kept)) for row in rows]
        runs = rich_table(tuple(compress(_COLUMNS, kept)), few, zone=overview.zone)
    return Group(runs, *map(Text, _sentences(overview)))


def _rows(runs: "Sequence[RunProgress]") -> list[tuple[object, ...]]:
    return [
        (
            *(run.kind, run.job_day, run.planned, run.due, run.pending, run.running),
            *(run.success, run.failed, run.cancelled, run.lateness_p50, run.lateness_p95),
        )
        for run in runs
    ]


def _sentences(overview: "Overview") -> Iterator[str]:
    yield from _progress(overview)
    for run in overview.runs:
        if run.vanished_stores:
            told = vanished_rows(run.vanished, stores=run.vanished_stores)
            yield f"{run.kind} {run.job_day} {told}"
    if not overview.runs:
        yield "no run is open, and none began in the last day"
    pace = overview.pace
    yield (
        f"last minute: {count(pace.finished_last_minute, 'job')} finished, "
        f"{count(pace.requests_last_minute, 'request')} "
        f"(limit {overview.rate_limit:,} for each application)"
    )
    if pace.oldest_due:
        since = f"{pace.oldest_due.astimezone(overview.zone):%Y-%m-%d %H:%M:%S}"
        yield f"oldest pending: due since {since}, {duration(overview.at - pace.oldest_due)}"
    for use in overview.limits:
        state = "; ".join(_state_of(use, overview))
        yield f"limiter {use.app}, {use.endpoint_group}: {state}"


def _state_of(use: "LimitUse", overview: "Overview") -> Iterator[str]:
    yield f"reserved {duration(use.reserved_ahead)} ahead"
    limits = overview.limits_of(use)
    yield from {f"{each.per_minute:,} a minute, configured" for each in limits if not each.since}
    for each in limits:
        if each.since:
            since = f"{each.since.astimezone(overview.zone):%Y-%m-%d %H:%M:%S}"
            yield f"{each.endpoint} {each.per_minute:,} a minute, {each.source} since {since}"
    if use.breaker_open_for:
        yield f"breaker open since {duration(use.breaker_open_for)}"
    if use.blocked_by:
        yield f"a gateway refuses the application: {use.blocked_by}"
    if use.closed_for:
        yield f"in cooldown for {duration(use.closed_for)}: {use.closed_reason}"


def _progress(overview: "Overview") -> Iterator[str]:
    for run in overview.runs:
        yield f"{run.kind} {run.job_day} {run.progress}"
    for jobs in overview.outside:
        yield f"{jobs.kind} outside runs: {jobs.pending:,} pending, {jobs.running:,} running"


def _facts(overview: "Overview") -> dict[str, object]:
    pace = overview.pace
    kinds = sorted({run.kind for run in overview.runs} | {jobs.kind for jobs in overview.outside})
    return {
        "at": overview.at,
        "jobs": {kind: _counts(overview, kind) for kind in kinds},
        "runs": [picked(run, *_RUN, seconds=_TIMES) for run in overview.runs],
        **picked(pace, "finished_last_minute", "requests_last_minute"),
        "rate_limit_per_minute": overview.rate_limit,
        "oldest_due": pace.oldest_due,
        "limits": [
            {
                **picked(use, *_LIMITER, seconds=_TIMES),
                "endpoints": [
                    picked(limit, "endpoint", "per_minute", "source", "since")
                    for limit in overview.limits_of(use)
                ],
            }
            for use in overview.limits
        ],
    }


def _counts(overview: "Overview", kind: str) -> dict[str, int]:
    every: list[RunProgress | OutsideRuns] = [*overview.runs, *overview.outside]
    mine = [jobs for jobs in every if jobs.kind == kind]
    return {status.value: sum(getattr(jobs, status, 0) for jobs in mine) for status in Status}
