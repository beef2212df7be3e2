"""The start of `ifood-actors`: what a person waits for before anything is done."""

import subprocess
import sys
from pathlib import Path
from statistics import median
from time import monotonic

from scripts.benchmarks.environment import Services
from scripts.benchmarks.report import Figure, amount, at_most
from scripts.benchmarks.sizes import Sizes

_PROGRAM = str(Path(sys.executable).with_name("ifood-actors"))
_GOAL_SECONDS = 0.3
_BARE = "a bare python -c pass"
_COMMANDS = {
    _BARE: [sys.executable, "-c", "pass"],
    "ifood-actors --help": [_PROGRAM, "--help"],
    "ifood-actors jobs list --help": [_PROGRAM, "jobs", "list", "--help"],
    "ifood-actors config": [_PROGRAM, "config"],
}


def measure(_: Services, sizes: Sizes) -> list[Figure]:
    """Start each in turn, again and again, so that a busy minute of the machine hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    for _round in range(sizes.starts):
        for name, command in _COMMANDS.items():
            taken[name].append(_seconds(command))

    bare = median(taken.pop(_BARE))
    figures = [Figure(f"{_BARE}, median of {sizes.starts}", amount(bare, "s"))]
    for name, seconds in taken.items():
        middle = median(seconds)
        timed = Figure(name, amount(middle, "s"))
        figures += [
            at_most(name, middle, _GOAL_SECONDS, unit="s") if name.endswith("--help") else timed,
            Figure("  as many bare ones", amount(middle / bare, "")),
            Figure("  slowest", amount(max(seconds), "s")),
        ]
    return figures


def _seconds(command: list[str]) -> float:
    started = monotonic()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - our own program
    return monotonic() - started
