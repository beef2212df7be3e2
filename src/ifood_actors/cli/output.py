"""
What a person or a program reads: data on stdout, messages on stderr.

A table is a table on a terminal, and lines of aligned columns on a pipe. Texts that came from
elsewhere cannot move the cursor or colour the screen.
"""

import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from ifood_actors.notation import format_duration
from ifood_actors.plain_text import printable

if TYPE_CHECKING:  # rich costs half of the start-up
    from rich.table import Table as RichTable

T = TypeVar("T")
Cell = object
GAP = "  "
NO_APPLICATION = "no application yet: see `ifood-actors apps add --help`"


def say(text: str = "") -> None:
    """Print data, one line or several."""
    print(text)  # noqa: T201 - this is where data goes


def note(text: str) -> None:
    """Print a message."""
    print(text, file=sys.stderr)  # noqa: T201 - this is where messages go


def document(value: object) -> None:
    """Print one JSON document: money as text, instants in UTC, durations in seconds."""
    ascii_only = (sys.stdout.encoding or "").lower() not in {"utf-8", "utf8"}
    text = json.dumps(value, default=_plain, ensure_ascii=ascii_only, indent=2)
    say("\n".join(map(_escaped, text.split("\n"))))


def _escaped(line: str) -> str:
    """Escape what JSON allows within a text, and a terminal would act on."""
    if line.isprintable():
        return line
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in line)


def outcome(sentence: str, facts: Mapping[str, object], *, json: bool) -> None:
    """Print what a change came to: for a person, or for a program."""
    if json:
        document(facts)
    else:
        say(sentence)


def agreed(
    what: str, facts: Mapping[str, object], *, dry_run: bool, json: bool, yes: bool = True
) -> bool:
    """Ask whether to do `what`, unless `yes`; a dry run says that it would be done, and is a no."""
    if dry_run:
        outcome(f"would {what}", {"dry_run": True, **facts}, json=json)
        return False
    confirm(f"{what}?", yes=yes)
    return True


def listing(
    found: Sequence[T],
    columns: Sequence[str],
    cells: Callable[[T], Iterable[Cell]],
    *,
    json: bool,
    zone: ZoneInfo,
    limit: int | None = None,
    empty: str = "",
    advice: str = "",
) -> None:
    """
    Print what was found, or the first `limit` of it, and say if there is more.

    As a document, or as a table with `advice` behind it; without any, `empty` may stand for it.
    """
    shown = found[:limit]
    if json:
        document(shown)
    elif shown or not empty:
        table(columns, [tuple(cells(each)) for each in shown], zone=zone)
    said = "" if json else advice if shown or not empty else empty
    if said:
        note(said)
    if len(found) > len(shown):
        note(f"only the first {limit} are shown: see --limit")


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, zone: ZoneInfo) -> None:
    """Print rows; instants are shown in `zone`."""
    if sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(rich_table(columns, rows, zone=zone))
        return
    for line in lines(columns, rows, zone=zone):
        say(line)


def lines(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, zone: ZoneInfo
) -> Iterator[str]:
    """Give a table as aligned columns, for a pipe: nothing is cut, nothing is framed."""
    texts = [list(columns), *_texts(rows, zone=zone)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    numeric = _numeric(rows, columns)
    for line in texts:
        cells = zip(line, widths, numeric, strict=True)
        padded = (cell.rjust(width) if right else cell.ljust(width) for cell, width, right in cells)
        yield GAP.join(padded).rstrip()


def rich_table(
    columns: Sequence[str], rows: Sequence[Sequence[Cell]], *, zone: ZoneInfo
) -> "RichTable":
    """Give a table for a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column, right in zip(columns, _numeric(rows, columns), strict=True):
        shown.add_column(column, justify="right" if right else "left", overflow="fold")
    for texts in _texts(rows, zone=zone):
        shown.add_row(*map(Text, texts))  # as text: what looks like markup stays as it is
    return shown


def facts(pairs: Mapping[str, Cell], *, zone: ZoneInfo) -> None:
    """Print names and values, one pair a line."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        say(f"{name.ljust(width)}{GAP}{show(value, zone=zone)}")


def show(cell: Cell, *, zone: ZoneInfo) -> str:
    """Give a value as a person reads it, on one line."""
    match cell:
        case None:
            return "-"
        case bool():
            return "yes" if cell else "no"
        case datetime():
            return f"{cell.astimezone(zone):%Y-%m-%d %H:%M:%S}"
        case timedelta():
            return duration(cell)
        case _:
            return printable(_text(cell))


def duration(length: timedelta) -> str:
    """Give a length as `0.4s`, `12s`, `5m30s`; a negative one with its sign."""
    if length < timedelta():
        return f"-{duration(-length)}"
    if length < timedelta(seconds=10):
        return f"{length.total_seconds():.1f}s"
    return format_duration(length)


def confirm(question: str, *, yes: bool) -> None:
    """Ask on a terminal, and end on a no; a program, or `--yes`, has decided."""
    if yes or not sys.stdin.isatty():
        return
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201 - a message
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise typer.Abort


def count(number: int, one: str) -> str:
    """Give `1 job`, `2 jobs`."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def vanished_rows(rows: int, *, stores: int) -> str:
    """Say what a run did not bring and did not mark, as `report` and `status` do."""
    return (
        f"{count(rows, 'known row')} vanished in {count(stores, 'store')}: all or most of what was "
        "known there; marked missing when a run of another day sees the same"
    )


def picked(source: object, *names: str, seconds: Collection[str] = ()) -> dict[str, object]:
    """Give attributes by name, for a document; the names of those in `seconds` say so."""
    return {f"{name}_seconds" if name in seconds else name: getattr(source, name) for name in names}


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal() | UUID():
            return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _text(cell: Cell) -> str:
    match cell:
        case int():
            return f"{cell:,}"
        case dict() | list():
            return json.dumps(cell, default=_plain, ensure_ascii=False) if cell else "-"
        case _:
            return str(cell)


def _texts(rows: Sequence[Sequence[Cell]], *, zone: ZoneInfo) -> list[list[str]]:
    return [[show(cell, zone=zone) for cell in row] for row in rows]


def _numeric(rows: Sequence[Sequence[Cell]], columns: Sequence[str]) -> list[bool]:
    first = rows[0] if rows else columns
    return [isinstance(cell, int | float) and not isinstance(cell, bool) for cell in first]
