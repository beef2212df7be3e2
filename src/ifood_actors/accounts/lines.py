"""The lines of a sheet, whatever file they come from, and what is said when one is wrong."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ifood_actors.errors import UsageError

_MOST_PROBLEMS = 100  # are told at once; who has more has one kind of them
# What a page or a word processor puts in place of a space.
_SPACES = re.compile("[\u00a0\u2007\u202f]")


@dataclass(frozen=True, slots=True)
class Line:
    """
    The tidy cells of one line, and where a person finds it.

    `refused` are cells of a workbook that are no text, by their place, and what they are.
    """

    where: str
    cells: Sequence[str]
    refused: Mapping[int, str] = field(default_factory=dict)


class BadSheet(UsageError):
    """A file cannot be imported; `problems` has one line each, in the order of the file."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems[:_MOST_PROBLEMS])
        if (more := len(problems) - _MOST_PROBLEMS) > 0:
            self.problems.append(f"and {more:,} more")
        super().__init__("\n".join(self.problems))


def tidy(cell: str) -> str:
    """Return a text with plain spaces, none around it, and each accent in one piece (NFC)."""
    return unicodedata.normalize("NFC", _SPACES.sub(" ", cell)).strip(" ")
