"""All figures and all alert rules, in the order of the manual."""

from typing import Final

from ifood_actors.figures.figure import AlertRule, Figure
from ifood_actors.figures.ifood_figures import IFOOD_FIGURES
from ifood_actors.figures.process_figures import PROCESS_FIGURES
from ifood_actors.figures.record_figures import RECORD_FIGURES
from ifood_actors.figures.run_figures import RUN_FIGURES

_ENTRIES = (*RUN_FIGURES, *PROCESS_FIGURES, *IFOOD_FIGURES, *RECORD_FIGURES)

FIGURES: Final[tuple[Figure, ...]] = tuple(one for one in _ENTRIES if isinstance(one, Figure))
RULES: Final[tuple[AlertRule, ...]] = tuple(rule for entry in _ENTRIES for rule in entry.rules)

# The web process itself tells it: the name and the meaning.
LEDGER_UP: Final = ("ifood_ledger_up", "1 if all gauges of the ledger could be read, else 0")
