"""Options that several commands share, and the types of their values."""

from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ifood_actors.kinds import KINDS
from ifood_actors.notation import parse_duration

# How far back `errors` looks, and with it `jobs requeue --error-group`.
ERRORS_SINCE = timedelta(hours=24)
# The most that `--limit` takes; Postgres counts rows in 64 bits.
MOST = 1_000_000_000
_FIRST_YEAR = 1900  # a week before a day must be a day, too


if TYPE_CHECKING:
    KindName = str
else:  # typer takes its choices from an enum
    KindName = StrEnum("KindName", [(name, name) for name in KINDS])


class Status(StrEnum):
    """The statuses, once more: the ledger's own would import SQLAlchemy for `--help`."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


def duration(text: str) -> timedelta:
    """Parse `45s` or `4h33m` for an option."""
    try:
        found = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}, not {text!r}") from None
    if not found:
        raise typer.BadParameter("expected more than nothing")
    return found


def day(text: str) -> date:
    """Parse `2026-03-31` for an option."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.year < _FIRST_YEAR:
        raise typer.BadParameter(f"expected a day such as 2026-03-31, not {text!r}")
    return found


def given(text: str) -> str:
    """Refuse an empty text for a filter: a shell's variable that is not set must not mean all."""
    if not text.strip():
        raise typer.BadParameter("expected more than nothing")
    return text


def name_or_merchant(text: str) -> str:
    """Give a merchant id as accounts have it, however it is spelled; anything else is a name."""
    from ifood_actors.accounts.identifiers import canonical_id

    return canonical_id(given(text)) or text


def company(text: str) -> str:
    """Parse a CNPJ for a filter, with or without its punctuation."""
    from ifood_actors.accounts.identifiers import cnpj

    try:
        return cnpj(text)
    except ValueError as error:
        raise typer.BadParameter("; ".join(map(str, error.args))) from None


Active = Annotated[bool | None, typer.Option("--active/--inactive", help="Only those that are so.")]
AppName = Annotated[
    str | None, typer.Option("--app", metavar="NAME", help="Only those of this application.")
]
Cnpj = Annotated[
    str | None, typer.Option(parser=company, metavar="CNPJ", help="Only those of this company.")
]
Group = Annotated[
    str | None, typer.Option(parser=given, metavar="GROUP", help="Only those of this group.")
]
Accounts = Annotated[
    list[str] | None,
    typer.Option(
        "--account",
        parser=name_or_merchant,
        metavar="NAME",
        help="A name or merchant id; may be given again.",
    ),
]
KindFilter = Annotated[
    KindName | None,
    typer.Option("--kind", metavar="KIND", help=f"{' or '.join(KINDS)}."),
]
AccountFilter = Annotated[
    str | None,
    typer.Option(
        "--account",
        parser=name_or_merchant,
        metavar="NAME",
        help="Only of this account: a name or a merchant id.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Say what would be done, and change nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Day = Annotated[
    date | None, typer.Option(parser=day, metavar="YYYY-MM-DD", help="Whose run it is.")
]
Over = Annotated[
    timedelta | None,
    typer.Option(parser=duration, metavar="DURATION", help="Spread it over so long, as in 60s."),
]
Since = Annotated[
    timedelta | None,
    typer.Option("--since", parser=duration, metavar="DURATION", help="How far back, as in 24h."),
]
