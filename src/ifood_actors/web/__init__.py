"""
The web process: whether each service answers, and the figures for Prometheus.

app (the routes) · server (uvicorn) · health · collector (reads the figures) · shared_query
"""

from ifood_actors.web.app import serve

__all__ = ["serve"]
