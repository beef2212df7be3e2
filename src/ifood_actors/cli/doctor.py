"""`ifood-actors doctor`: is everything there that the processes need? One line a check."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ifood_actors.cli.options import Json
from ifood_actors.cli.output import document, say
from ifood_actors.errors import ServiceUnavailable, UsageError
from ifood_actors.plain_text import printable

if TYPE_CHECKING:
    from ifood_actors.cli.work.doctor_settings import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


def doctor(
    *,
    offline: Annotated[bool, typer.Option("--offline", help="Settings only; asks nobody.")] = False,
    json: Json = False,
) -> None:
    """
    Check configuration, services and the way to iFood.

    One line a check: settings, Postgres, its session and clock, migrations, stored secrets,
    accounts, RabbitMQ, its queues, and whether iFood answers. Queues that are missing are made.
    Secrets are never shown.
    """
    from ifood_actors.cli.work import doctor

    findings = []
    for finding in doctor.findings(offline=offline):
        findings.append(finding)
        if not json:
            _show(finding)
    failed = [finding for finding in findings if finding.verdict == "failed"]
    if json:
        document(findings)
    if any(finding.unreachable for finding in failed):
        raise typer.Exit(ServiceUnavailable.exit_code)
    if failed:
        usage = all(finding.check in doctor.OF_SETTINGS for finding in failed)
        raise typer.Exit(UsageError.exit_code if usage else 1)


def _show(finding: "Finding") -> None:
    line = f"{finding.check.ljust(16)} {finding.verdict.ljust(8)} {finding.detail}"
    if finding.advice:
        line += f"; {finding.advice}"
    if not sys.stdout.isatty():
        say(printable(line))
        return
    from rich.console import Console
    from rich.text import Text

    shown = Text(printable(line))
    shown.highlight_words([finding.verdict], style=_COLOURS[finding.verdict])
    Console(highlight=False).print(shown, soft_wrap=True)
