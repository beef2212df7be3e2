"""
What the ledger holds, as people and processes ask for it. Only reads.

`conditions` are SQL that more than one reader needs.
"""

from ifood_actors.ledger.queries.cost import Workload, workloads
from ifood_actors.ledger.queries.daily import Delivered, delivered
from ifood_actors.ledger.queries.error_groups import ErrorGroup, error_groups
from ifood_actors.ledger.queries.jobs import (
    EventRow,
    JobFilter,
    JobRow,
    find_job_ids,
    find_jobs,
    history,
    job_facts,
)
from ifood_actors.ledger.queries.runs import (
    OutsideRuns,
    Progress,
    RunProgress,
    Throughput,
    open_outside_runs,
    open_runs,
    planned_days,
    progress_of_runs,
    throughput,
)

__all__ = [
    "Delivered",
    "ErrorGroup",
    "EventRow",
    "JobFilter",
    "JobRow",
    "OutsideRuns",
    "Progress",
    "RunProgress",
    "Throughput",
    "Workload",
    "conditions",
    "delivered",
    "error_groups",
    "find_job_ids",
    "find_jobs",
    "history",
    "job_facts",
    "open_outside_runs",
    "open_runs",
    "planned_days",
    "progress_of_runs",
    "throughput",
    "workloads",
]
