"""Each figure once: name, SQL, labels, meaning and alerts."""

from ifood_actors.figures.catalog import FIGURES, LEDGER_UP, RULES
from ifood_actors.figures.figure import (
    ALL,
    AlertRule,
    Figure,
    FiringAlert,
    Sample,
    firing_alerts,
)
from ifood_actors.figures.process_figures import RABBIT_UNUSABLE, RIGHT_MISSING, RULE_FAILED
from ifood_actors.figures.sampling import read_rows, read_samples

__all__ = [
    "ALL",
    "FIGURES",
    "LEDGER_UP",
    "RABBIT_UNUSABLE",
    "RIGHT_MISSING",
    "RULES",
    "RULE_FAILED",
    "AlertRule",
    "Figure",
    "FiringAlert",
    "Sample",
    "firing_alerts",
    "read_rows",
    "read_samples",
]
