"""What is wrong and who is told: rules, what they ask, what is remembered, where notices go."""

from ifood_actors.alerts.notifications import Notifier
from ifood_actors.alerts.watch import Watch, look, look_at_queues
from ifood_actors.figures.evaluation import Finding, Rule
from ifood_actors.figures.rules import RULES

__all__ = ["RULES", "Finding", "Notifier", "Rule", "Watch", "look", "look_at_queues"]
