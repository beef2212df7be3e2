"""`ifood-actors export`: the stored records as a file."""

import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import date
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from ifood_actors.cli.options import Accounts, Cnpj, Group, Json, KindName, day
from ifood_actors.cli.output import count, document, note
from ifood_actors.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from ifood_actors.exports import Selection

    Write = Callable[[Connection, Selection, BinaryIO], int]


class Format(StrEnum):
    """What is written."""

    CSV = "csv"
    PARQUET = "parquet"
    XLSX = "xlsx"


class Locale(StrEnum):
    """Whose spreadsheets a CSV file is for."""

    PT_BR = "pt-BR"


def export(
    kind: Annotated[KindName, typer.Argument(metavar="KIND", help="Which records.")],
    *,
    start: Annotated[
        date, typer.Option("--from", parser=day, metavar="YYYY-MM-DD", help="The first day.")
    ],
    end: Annotated[
        date, typer.Option("--to", parser=day, metavar="YYYY-MM-DD", help="The last day.")
    ],
    format_: Annotated[
        Format | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="csv, parquet or xlsx; else FILE's ending says.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; stdout unless given."),
    ] = None,
    locale: Annotated[
        Locale | None,
        typer.Option(metavar="pt-BR", help="For csv: semicolons, decimal commas, BOM."),
    ] = None,
    account: Accounts = None,
    cnpj: Cnpj = None,
    group: Group = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="Also records that iFood took back.")
    ] = False,
    json: Json = False,
) -> None:
    """
    Write the stored records of some days, both included.

    A record belongs to the day of the sale, the first day of its calculation period, or, in none,
    the day on which it was first seen. Instants are in UTC, in xlsx and with --locale by the clock
    of IFOOD_TIMEZONE. Text that a spreadsheet would take for a formula begins with a '. FILE
    appears when it is complete. --json tells what was written.
    """
    from ifood_actors.cli.database import open_database
    from ifood_actors.config import loading
    from ifood_actors.db import long_reading
    from ifood_actors.exports import Selection, whole_file

    format_ = format_ or _by_ending(output)
    _require_sense(start, end, format_, output=output, locale=locale, json=json)
    write = _writer(format_, locale)
    settings = loading.load()
    zone = settings.timezone.key
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # and tidy up
    with open_database(settings) as engine, long_reading(engine) as connection:
        chosen = _accounts(connection, account or (), cnpj=cnpj, group=group)
        selection = Selection(kind, start, end, zone=zone, accounts=chosen, missing=missing)
        with whole_file(output) if output else nullcontext(sys.stdout.buffer) as out:
            rows = write(connection, selection, out)
            out.flush()
    if json:
        document({"kind": kind, "rows": rows, "format": format_, "file": str(output)})
    else:
        note(f"exported {count(rows, 'record')} of {kind}{f' to {output}' if output else ''}")


def _accounts(
    connection: "Connection", names: Sequence[str], *, cnpj: str | None, group: str | None
) -> Sequence[str]:
    from ifood_actors.accounts import list_accounts, require_known

    if cnpj is None and group is None:
        require_known(connection, names)
        return names
    if names:
        raise UsageError("--account says which accounts, and so do --cnpj and --group: give one")
    found = list_accounts(connection, cnpj=cnpj, group=group)
    if not found:  # else an export of nobody would be one of everybody
        raise UsageError("no account has this --cnpj or --group; see `ifood-actors accounts list`")
    return [row.ifood_merchant_id for row in found]


def _by_ending(output: Path | None) -> Format:
    ending = output.suffix.removeprefix(".").lower() if output else ""
    return Format(ending) if ending in list(Format) else Format.CSV


def _require_sense(
    start: date,
    end: date,
    format_: Format,
    *,
    output: Path | None,
    locale: Locale | None,
    json: bool,
) -> None:
    if end < start:
        raise UsageError(f"--to: {end} is before --from, {start}")
    if locale and format_ is not Format.CSV:
        raise UsageError(f"--locale is for csv; {format_} has no decimal marks of its own")
    if output == Path("-"):
        raise UsageError("--output: leave it out to write to stdout")
    if output is None and (json or format_ is not Format.CSV):
        raise UsageError(f"{'--json' if json else format_} needs --output FILE")


def _writer(format_: Format, locale: Locale | None) -> "Write":
    from functools import partial

    from ifood_actors.exports import write_csv

    match format_:
        case Format.CSV:
            return partial(write_csv, brazilian=locale is Locale.PT_BR)
        case Format.PARQUET:
            _require("pyarrow")
            from ifood_actors.exports.as_parquet import write_parquet

            return write_parquet
        case Format.XLSX:
            _require("xlsxwriter")
            from ifood_actors.exports.as_xlsx import write_xlsx

            return write_xlsx


def _require(package: str) -> None:
    """Raise UsageError unless the package of a format is installed."""
    if find_spec(package) is None:
        raise UsageError(
            f"{package} not installed: the extra `export` brings it, as in `uv sync --extra export`"
        )
