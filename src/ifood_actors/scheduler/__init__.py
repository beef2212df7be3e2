"""
The scheduler process: plans runs when their windows open, and relays due jobs.

`run` is the process, `Scheduler` its parts without one, as the demo and tests want them.
"""

from ifood_actors.scheduler.relay import Publisher
from ifood_actors.scheduler.scheduler import POOL_SIZE, Scheduler, run

__all__ = ["POOL_SIZE", "Publisher", "Scheduler", "run"]
