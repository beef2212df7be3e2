"""What a person sees while the demo runs, and at its end."""

from collections.abc import Iterable
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from ifood_actors.demo.report import KindReport, Report
from ifood_actors.demo.scale import Scale
from ifood_actors.ledger.reports import RunProgress
from ifood_actors.planning.capacity import Capacity, Resource

_BAR_WIDTH = 30


def introduction(scaled: Scale, *, accounts: int) -> str:
    """Say what is squeezed, and by how much."""
    return (
        f"A Monday of {accounts:,} accounts in {scaled.length.total_seconds():g} s: "
        f"{scaled.factor:g} times as fast as real, and so is the API's limit "
        f"({scaled.limit:,} requests a minute instead of {scaled.real_limit:,})."
    )


def progress(runs: Iterable[RunProgress], *, per_minute: float, limit: int) -> RenderableType:
    """Draw one bar per kind; `per_minute` is the rate of requests just now."""
    table = Table.grid(padding=(0, 2))
    for run in runs:
        table.add_row(
            run.kind,
            ProgressBar(total=max(run.planned, 1), completed=run.finished, width=_BAR_WIDTH),
            f"{run.finished:,}/{run.planned:,}",
            f"expected {run.due:,}",
            f"running {run.running}",
            f"failed {run.failed}",
            f"late p50 {_seconds(run.lateness_p50)} p95 {_seconds(run.lateness_p95)}",
        )
    return Group(table, limit_line(per_minute, limit=limit))


def limit_line(per_minute: float, *, limit: int) -> str:
    """Say how much of the limit is used just now."""
    return f"API: {per_minute:,.0f} requests a minute, {per_minute / limit:.0%} of the limit"


def forecast(kind: KindReport, day: Capacity) -> str:
    """Say what the run would take at the real limit."""
    alone = day.spans[Resource.RATE_LIMIT].total_seconds() / 60
    verdict = "fits its window" if day.fits else f"does not fit: {'; '.join(day.advice)}"
    return (
        f"at the real limit {kind.kind} {verdict}: {kind.requests:,} requests need at least "
        f"{alone:.0f} minutes of it"
    )


def line(run: RunProgress) -> str:
    """Say the same without a terminal."""
    lateness = f"late p50 {_seconds(run.lateness_p50)} p95 {_seconds(run.lateness_p95)}"
    return f"{run.kind} {run.progress} running {run.running} failed {run.failed} {lateness}"


def show(report: Report, console: Console) -> None:
    """Print the closing report."""
    table = Table("kind", "planned", "succeeded", "failed", "rows", "amount (BRL)", "truth")
    for kind in report.kinds:
        equal = "equal to the cent" if not kind.differing else f"{len(kind.differing)} DIFFER"
        table.add_row(
            kind.kind,
            f"{kind.planned:,}",
            f"{kind.succeeded:,}",
            ", ".join(f"{count} {code}" for code, count in kind.failed.items()) or "0",
            f"{kind.rows:,}",
            f"{kind.amount:,.2f}",
            equal,
        )
    console.print(table)
    console.print(
        f"{report.requests:,} requests in {report.seconds:.0f} s; "
        f"at most {report.worst_minute:,} in any 60 s, the limit is {report.limit:,}; "
        f"{report.by_status.get('429', 0)} answered 429; {report.token_requests} token request(s)"
    )
    statuses = ", ".join(f"{status}: {count:,}" for status, count in report.by_status.items())
    console.print(f"answers by status: {statuses}")


def _seconds(lateness: timedelta | None) -> str:
    return "-" if lateness is None else f"{lateness.total_seconds():.2f} s"
