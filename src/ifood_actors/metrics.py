"""The figures that this process counts, in Prometheus's terms."""

from prometheus_client import Histogram

DELIVERIES = Histogram(
    "ifood_deliveries_seconds",
    "Deliveries by kind and outcome: done, skipped, or the error code.",
    ["kind", "outcome"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)
