"""The section of docs/performance.md that the comparison writes."""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import psycopg

from scripts.benchmarks.environment import Services
from scripts.benchmarks.machine import CORES
from scripts.benchmarks.peers.comparison import compare
from scripts.benchmarks.report import Figure
from scripts.benchmarks.sizes import Sizes

_BEGIN = "<!-- scripts/bench peers --markdown writes from here ... -->"
_END = "<!-- ... to here -->"


def section(on: Services, sizes: Sizes) -> str:
    """Compare, and write where that was and a table with a column for each system."""
    where = _where(on)
    return "\n".join([_BEGIN, where, "", table(compare(on, sizes)), _END])


def table(columns: Mapping[str, Sequence[Figure]]) -> str:
    """Write figures that have the same names in the same order as one table."""
    figures = zip(*columns.values(), strict=True)
    rows = [[row[0].name, *(figure.measured for figure in row)] for row in figures]
    lines = [["", *columns], ["---"] * (1 + len(columns)), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)


def _where(on: Services) -> str:
    with psycopg.connect(on.postgres.url) as connection:
        version = connection.info.parameter_status("server_version") or ""
        servers = f"Postgres {version.split()[0]}"
    if on.rabbit.management:
        overview = cast("dict[str, str]", on.rabbit.management.get("/api/overview"))
        servers += f" and RabbitMQ {overview['rabbitmq_version']}"
    day, load = datetime.now(UTC).date(), os.getloadavg()[0]
    return (
        f"Measured on {day} with Python {platform.python_version()}, {servers}, on {CORES} cores "
        f"of {_processor()}; the load before was {load:.1f}."
    )


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
