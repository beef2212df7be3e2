"""Evaluates the alert rules, remembers what fires (`alert_tables`), and notifies people."""

from ifood_actors.alerts.evaluator import Evaluator, evaluate, query_queues
from ifood_actors.alerts.notifications import Notifier

__all__ = [
    "Evaluator",
    "Notifier",
    "alert_tables",
    "evaluate",
    "query_queues",
]
