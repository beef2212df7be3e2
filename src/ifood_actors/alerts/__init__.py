"""What is wrong and who is told: evaluation of the rules, what is remembered, notifications."""

from ifood_actors.alerts.evaluator import Evaluator, evaluate, query_queues
from ifood_actors.alerts.notifications import Notifier
from ifood_actors.figures.evaluation import AlertRule, FiringAlert
from ifood_actors.figures.rules import RULES

__all__ = ["RULES", "AlertRule", "Evaluator", "FiringAlert", "Notifier", "evaluate", "query_queues"]
