"""What two settings promise each other."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ifood_actors.config.types import DEFAULT_API

if TYPE_CHECKING:
    from ifood_actors.config.settings import Settings


def contradictions(settings: "Settings") -> list[str]:
    """Say what does not fit together, a line each."""
    problems: list[str] = []
    host = urlsplit(settings.api_base_url).hostname
    if host not in (urlsplit(DEFAULT_API).hostname, settings.api_allow_host):
        problems.append(
            f"IFOOD_API_BASE_URL: {host} is not iFood's host; if credentials may be sent "
            f"there, set IFOOD_API_ALLOW_HOST={host}"
        )
    if settings.backoff_base > settings.backoff_cap:
        problems.append("IFOOD_BACKOFF_BASE: expected at most IFOOD_BACKOFF_CAP")
    if settings.worker_processes > settings.worker_max_concurrency:
        problems.append(
            f"IFOOD_WORKER_PROCESSES: expected at most IFOOD_WORKER_MAX_CONCURRENCY, "
            f"which is {settings.worker_max_concurrency}: each process runs at least one job"
        )
    if settings.anticipations_idle_days > settings.anticipations_days:
        problems.append(
            f"IFOOD_ANTICIPATIONS_IDLE_DAYS: expected at most IFOOD_ANTICIPATIONS_DAYS, "
            f"which is {settings.anticipations_days}: days between two pulls would never be read"
        )
    if settings.metrics_port is not None and settings.metrics_dir is None:
        problems.append("IFOOD_METRICS_PORT: needs IFOOD_METRICS_DIR, a folder of this host alone")
    return problems
