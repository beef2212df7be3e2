"""The stored records of some days, written to a file or to stdout."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from sqlalchemy import Connection

from ifood_actors.accounts import list_accounts, require_known
from ifood_actors.cli.work.database import opened
from ifood_actors.db import long_reading
from ifood_actors.errors import UsageError
from ifood_actors.exports import Selection, whole_file, write_csv

Write = Callable[[Connection, Selection, BinaryIO], int]


def export(
    kind: str,
    days: tuple[date, date],
    *,
    format_: str,
    brazilian: bool,
    output: Path | None,
    accounts: Sequence[str],
    cnpj: str | None,
    group: str | None,
    missing: bool,
) -> int:
    """Write the records, and give how many they are."""
    write = _writer(format_, brazilian=brazilian)
    with _tidy_end(), opened() as command, long_reading(command.engine) as connection:
        chosen = _accounts(connection, accounts, cnpj=cnpj, group=group)
        zone = command.settings.timezone.key
        selection = Selection(kind, *days, zone=zone, accounts=chosen, missing=missing)
        with whole_file(output) if output else nullcontext(sys.stdout.buffer) as out:
            rows = write(connection, selection, out)
            out.flush()
    return rows


@contextmanager
def _tidy_end() -> Iterator[None]:
    """Have TERM end the process as an exception does, so that no unfinished file stays."""

    def end(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    former = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _accounts(
    connection: Connection, names: Sequence[str], *, cnpj: str | None, group: str | None
) -> Sequence[str]:
    if cnpj is None and group is None:
        require_known(connection, names)
        return names
    if names:
        raise UsageError("--account says which accounts, and so do --cnpj and --group: give one")
    found = list_accounts(connection, cnpj=cnpj, group=group)
    if not found:  # else a filter without a match would export all
        raise UsageError("no account has this --cnpj or --group; see `ifood-actors accounts list`")
    return [row.ifood_merchant_id for row in found]


def _writer(format_: str, *, brazilian: bool) -> Write:
    match format_:
        case "parquet":
            _require("pyarrow")
            from ifood_actors.exports.as_parquet import write_parquet

            return write_parquet
        case "xlsx":
            _require("xlsxwriter")
            from ifood_actors.exports.as_xlsx import write_xlsx

            return write_xlsx
        case _:
            return partial(write_csv, brazilian=brazilian)


def _require(package: str) -> None:
    """Raise UsageError unless the package of a format is installed."""
    if find_spec(package) is None:
        raise UsageError(
            f"{package} not installed: the extra `export` brings it, as in `uv sync --extra export`"
        )
