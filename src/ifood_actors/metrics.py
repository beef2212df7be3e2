"""
What each worker host counts, for Prometheus; the table in docs/metrics.md is generated from it.

Labels have few values each: kind, endpoint, outcome; never an account or a job.
"""

from prometheus_client import Counter, Histogram

DELIVERIES = Histogram(
    "ifood_deliveries_seconds",
    "deliveries; the outcome is done, skipped (sent back unclaimed while the application is in "
    "cooldown) or the error code, and throttled or lease_lost, which no job ends with",
    ["kind", "outcome"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)
LATENESS = Histogram(
    "ifood_start_lateness_seconds",
    "first claims, by how long after their slot",
    ["kind"],
    buckets=(0.1, 0.25, 0.5, 1, 1.5, 2.5, 5, 10, 30, 60, 300, 900, 3600),
)
REQUESTS = Counter(
    "ifood_requests",
    "requests to iFood; the endpoint group is financial, merchant or oauth, the outcome 2xx, 3xx, "
    "4xx, 429, 5xx or no_answer",
    ["endpoint", "outcome"],
)
WASTED_REQUESTS = Counter(
    "ifood_wasted_requests",
    "requests of jobs that iFood itself answered by 404: nothing there, and improper use when it "
    "recurs",
    ["kind"],
)
REQUEST_TIMES = Histogram(
    "ifood_request_seconds",
    "requests to iFood, from sending to the last byte of the answer",
    ["endpoint"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60),
)
LIMITER_WAITS = Histogram(
    "ifood_limiter_wait_seconds",
    "waits for the right to send a request; one that was refused is a delivery with the outcome "
    "throttled",
    ["endpoint"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30),
)
