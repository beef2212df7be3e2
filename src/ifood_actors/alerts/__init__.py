"""Evaluates the alert rules, remembers what fires (`alert_tables`), and notifies people."""

from ifood_actors.alerts.evaluator import Evaluation, Evaluator, Rabbit, evaluate, query_queues
from ifood_actors.alerts.notifications import Notifier

__all__ = [
    "Evaluation",
    "Evaluator",
    "Notifier",
    "Rabbit",
    "alert_tables",
    "evaluate",
    "query_queues",
]
