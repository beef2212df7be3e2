"""`ifood-actors export`: the stored records as a file."""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import typer

from ifood_actors.cli.options import Accounts, Cnpj, Group, Json, KindName, day
from ifood_actors.cli.output import count, document, note
from ifood_actors.errors import UsageError

Format = Literal["csv", "parquet", "xlsx"]
Locale = Literal["pt-BR"]  # whose spreadsheets a CSV file is for
_ENDINGS: dict[str, Format] = {".parquet": "parquet", ".xlsx": "xlsx"}


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
    from ifood_actors.cli.work import exports

    format_ = format_ or _ENDINGS.get(output.suffix.lower() if output else "", "csv")
    _require_sense(start, end, format_, output=output, locale=locale, json=json)
    rows = exports.export(
        kind,
        (start, end),
        format_=format_,
        brazilian=locale is not None,
        output=output,
        accounts=account or (),
        cnpj=cnpj,
        group=group,
        missing=missing,
    )
    if json:
        document({"kind": kind, "rows": rows, "format": format_, "file": str(output)})
    else:
        note(f"exported {count(rows, 'record')} of {kind}{f' to {output}' if output else ''}")


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
    if locale and format_ != "csv":
        raise UsageError(f"--locale is for csv; {format_} has no decimal marks of its own")
    if output == Path("-"):
        raise UsageError("--output: leave it out to write to stdout")
    if output is None and (json or format_ != "csv"):
        raise UsageError(f"{'--json' if json else format_} needs --output FILE")
