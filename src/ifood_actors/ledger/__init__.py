"""What is planned, running, done, and why: the jobs, their statuses, their history."""

from ifood_actors.ledger.job_result import JobResult
from ifood_actors.ledger.job_values import AwaitedJob, ClaimedJob, DueJob, NewJob, NewRun
from ifood_actors.ledger.ledger import Ledger
from ifood_actors.ledger.states import Act, JobStatus

__all__ = [
    "Act",
    "AwaitedJob",
    "ClaimedJob",
    "DueJob",
    "JobResult",
    "JobStatus",
    "Ledger",
    "NewJob",
    "NewRun",
]
