"""What is wrong and who is told: rules, what they ask, what is remembered, where notices go."""

from ifood_actors.alerts.evaluation import Finding, Rule
from ifood_actors.alerts.notices import Notifier
from ifood_actors.alerts.rules import RULES
from ifood_actors.alerts.watch import Watch, look, look_at_queues

__all__ = ["RULES", "Finding", "Notifier", "Rule", "Watch", "look", "look_at_queues"]
