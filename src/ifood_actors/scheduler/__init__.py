"""Plans runs when their windows open, and relays due jobs: `run` is the process."""

from ifood_actors.scheduler.scheduler import run

__all__ = ["run"]
