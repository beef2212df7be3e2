"""
The figures that workers count, in Prometheus's terms; docs/metrics.md says how to read them.

Labels have few values each: kind, endpoint, outcome; never an account or a job.
"""

from prometheus_client import Counter, Histogram

DELIVERIES = Histogram(
    "ifood_deliveries_seconds",
    "Deliveries by kind and outcome: done, skipped, or the error code.",
    ["kind", "outcome"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)
LATENESS = Histogram(
    "ifood_start_lateness_seconds",
    "First claims by kind: how long after their slot.",
    ["kind"],
    buckets=(0.1, 0.25, 0.5, 1, 1.5, 2.5, 5, 10, 30, 60, 300, 900, 3600),
)
REQUESTS = Counter(
    "ifood_requests",
    "Requests to iFood by endpoint group and outcome: 2xx, 3xx, 4xx, 429, 5xx or no_answer.",
    ["endpoint", "outcome"],
)
WASTED_REQUESTS = Counter(
    "ifood_wasted_requests",
    "Requests of jobs by kind that iFood answered by 404: it counts them as improper use.",
    ["kind"],
)
REQUEST_TIMES = Histogram(
    "ifood_request_seconds",
    "Requests to iFood by endpoint group: from sending to the last byte of the answer.",
    ["endpoint"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60),
)
LIMITER_WAITS = Histogram(
    "ifood_limiter_wait_seconds",
    "Waits for the right to send a request, by endpoint group.",
    ["endpoint"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30),
)
