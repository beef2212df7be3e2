"""`ifood-actors export` of a month of sales, in each format: its time, and its memory."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from sqlalchemy import text

from ifood_actors.config.loading import child_environment
from ifood_actors.db import transaction
from ifood_actors.errors import IfoodActorsError
from scripts.benchmarks.environment import Environment, Services, start_environment
from scripts.benchmarks.report import Figure, amount, at_most
from scripts.benchmarks.sizes import Sizes

_SALES_SQL = Path(__file__).with_name("sales.sql")
_PROGRAM = Path(sys.executable).with_name("ifood-actors")
_MERCHANTS = 1_000
_FIRST, _FOURTH, _LAST = "2026-03-01", "2026-03-04", "2026-03-31"
_CSV_SECONDS = 10.0
# More for the month than for its first four days, which fill the buffers of the libraries.
_CONSTANT_MIB = {"csv": 10.0, "parquet": 25.0, "xlsx": 25.0}


def measure(on: Services, sizes: Sizes) -> list[Figure]:
    """Export four days and the month, each by a process of its own, whose memory is then known."""
    with start_environment(on) as here, TemporaryDirectory() as folder:
        with transaction(here.engine) as tx:
            numbers = {"count": sizes.exported, "merchants": _MERCHANTS}
            tx.execute(text(_SALES_SQL.read_text(encoding="utf-8")), numbers)
        with here.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE ifood_sales"))
        return [
            figure
            for name, most in _CONSTANT_MIB.items()
            for figure in _figures(here, Path(folder) / f"sales.{name}", sizes, most=most)
        ]


def _figures(on: Environment, file: Path, sizes: Sizes, *, most: float) -> list[Figure]:
    _, few_mib = _export(on, file, to=_FOURTH)
    seconds, month_mib = _export(on, file, to=_LAST)
    name = f"{sizes.exported:,} sales as {file.suffix[1:]}"
    timed = Figure(name, amount(seconds, "s"))
    if file.suffix == ".csv":
        timed = at_most(name, seconds, _CSV_SECONDS, unit="s")
    return [
        timed,
        Figure("  its size", amount(file.stat().st_size / 2**20, "MiB")),
        Figure("  peak RSS for four days", amount(few_mib, "MiB")),
        at_most("  more for the month", month_mib - few_mib, most, unit="MiB"),
    ]


def _export(on: Environment, file: Path, *, to: str) -> tuple[float, float]:
    """Give the seconds of the whole command, and its peak memory in MiB."""
    days = ["--from", _FIRST, "--to", to]
    started = monotonic()
    process = subprocess.Popen(  # noqa: S603 - our own program
        [_PROGRAM, "export", "sales", *days, "--output", file],
        env=os.environ | child_environment(on.settings),
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise IfoodActorsError(f"the export ended with {process.returncode}")
    return monotonic() - started, usage.ru_maxrss / 1024
