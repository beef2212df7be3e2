"""The web process: whether each service answers, and the figures for Prometheus."""

from ifood_actors.web.app import serve

__all__ = ["serve"]
