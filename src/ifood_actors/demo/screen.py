"""What a person sees while the demo runs, and at its end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table

from ifood_actors.capacity.estimate import Capacity, Resource
from ifood_actors.demo.queue_counts import Queues
from ifood_actors.demo.report import KindReport, Report
from ifood_actors.demo.scale import Scale
from ifood_actors.ledger.queries.runs import RunProgress

_BAR_WIDTH = 30


def introduction(scaled: Scale, *, accounts: int) -> str:
    """Say what is squeezed, and by how much."""
    return (
        f"A Monday of {accounts:,} accounts in {scaled.length.total_seconds():g} s, "
        f"{scaled.factor:g} times as fast as real; the API's limit is raised with it, "
        f"from {scaled.real_limit:,} to {scaled.limit:,} requests a minute."
    )


@dataclass(frozen=True)
class Snapshot:
    """What there is to see at one instant; `queues` is None without RabbitMQ."""

    runs: list[RunProgress]
    requests_per_minute: float
    limit: int
    queues: Queues | None


def progress(snapshot: Snapshot) -> RenderableType:
    """Draw one bar per kind, and what the API and the queues have to do."""
    table = Table.grid(padding=(0, 2))
    for run in snapshot.runs:
        table.add_row(
            run.kind,
            ProgressBar(total=max(run.planned, 1), completed=run.finished, width=_BAR_WIDTH),
            f"{run.finished:,}/{run.planned:,}",
            f"expected {run.due:,}",
            f"running {run.running}",
            f"failed {run.failed}",
            _lateness(run),
        )
    return Group(table, *_below(snapshot))


def lines(snapshot: Snapshot) -> list[str]:
    """Say the same without a terminal."""
    kinds = [
        f"{run.kind} {run.progress} running {run.running} failed {run.failed} {_lateness(run)}"
        for run in snapshot.runs
    ]
    return [*kinds, *_below(snapshot)]


def _below(snapshot: Snapshot) -> list[str]:
    use = snapshot.requests_per_minute / snapshot.limit
    below = [f"API: {snapshot.requests_per_minute:,.0f} requests a minute, {use:.0%} of the limit"]
    if queues := snapshot.queues:
        below.append(
            f"RabbitMQ: {queues.delayed:,} delayed in the ladder "
            f"({queues.delayed_unacked} of them un-acked in workers), {queues.ready} ready, "
            f"{queues.unacked} in work"
        )
    return below


def forecast(kind: KindReport, day: Capacity) -> str:
    """Say what the run would take at the real limit."""
    alone = day.spans[Resource.RATE_LIMIT].total_seconds() / 60
    verdict = "fits its window" if day.fits else f"does not fit: {'; '.join(day.advice)}"
    return (
        f"at the real limit {kind.kind} {verdict}: {kind.requests:,} requests need at least "
        f"{alone:.0f} minutes of it"
    )


def comparison(predicted: timedelta, report: Report) -> str:
    """Say how well the formulas of `ifood-actors capacity` foretold it."""
    more = report.seconds / predicted.total_seconds() - 1
    return (
        f"predicted by the formulas of `capacity`: {predicted.total_seconds():.1f} s, "
        f"measured: {report.seconds:.1f} s ({more:+.0%})"
    )


def show(report: Report, seen: Sequence[Snapshot], console: Console) -> None:
    """Print the closing report; `seen` is what was seen on the way."""
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
    if ladder := [snapshot.queues.delayed for snapshot in seen if snapshot.queues]:
        console.print(f"at most {max(ladder):,} messages seen waiting in the delay ladder")


def _lateness(run: RunProgress) -> str:
    return f"late p50 {_seconds(run.lateness_p50)} p95 {_seconds(run.lateness_p95)}"


def _seconds(lateness: timedelta | None) -> str:
    return "-" if lateness is None else f"{lateness.total_seconds():.2f} s"
