"""What a benchmark says: figures, each beside its goal where design has set one."""

from dataclasses import dataclass
from itertools import chain


@dataclass(frozen=True)
class Figure:
    """One line of the table; `met` is None for a figure that only informs."""

    name: str
    measured: str
    goal: str = ""
    met: bool | None = None


def at_least(name: str, measured: float, goal: float, *, unit: str) -> Figure:
    """Compare a figure of which more is better."""
    return Figure(name, amount(measured, unit), f">= {amount(goal, unit)}", measured >= goal)


def at_most(name: str, measured: float, goal: float, *, unit: str) -> Figure:
    """Compare a figure of which less is better."""
    return Figure(name, amount(measured, unit), f"<= {amount(goal, unit)}", measured <= goal)


def amount(value: float, unit: str) -> str:
    """Write a number with three significant digits, thousands in full."""
    few = 100
    number = f"{value:,.0f}" if abs(value) >= few else f"{value:.3g}"
    return f"{number} {unit}".rstrip()


def show(title: str, figures: list[Figure]) -> None:
    """Print a benchmark's table."""
    rows = [(one.name, one.measured, one.goal, _verdict(one)) for one in figures]
    headings = (title, "measured", "goal", "")
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    print()
    for row in chain([headings, tuple("-" * width for width in widths)], rows):
        print("  ".join(map(str.ljust, row, widths)).rstrip(), flush=True)


def _verdict(figure: Figure) -> str:
    return {None: "", True: "ok", False: "MISSED"}[figure.met]
