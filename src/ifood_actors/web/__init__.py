"""
The web process: health and metrics now, the page that the dashboard is built on later.

app (the routes) · health (does each service answer?) · gauges (what the ledger's figures are) ·
collector (when they are read) · shared_query (asking a service that may hang)
"""

from ifood_actors.web.app import serve

__all__ = ["serve"]
