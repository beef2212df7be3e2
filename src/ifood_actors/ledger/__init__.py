"""
What is planned, running and done, and why: jobs, their statuses and their history.

`Ledger` does the acts of `states`, and `queries` read. `lost_messages` compares with RabbitMQ,
`holders` tells who holds the running jobs, `job_tables` are the tables.
"""

from ifood_actors.ledger.actor import Role, process_actor
from ifood_actors.ledger.bad_rows import park
from ifood_actors.ledger.claim_batches import AskedClaim, claim_each
from ifood_actors.ledger.history_retention import forget_history
from ifood_actors.ledger.job_result import JobResult, result_value
from ifood_actors.ledger.job_values import ClaimedJob, DueJob, NewJob, NewRun
from ifood_actors.ledger.ledger import Ledger
from ifood_actors.ledger.left_out import note_left_out
from ifood_actors.ledger.states import Act, JobStatus

__all__ = [
    "Act",
    "AskedClaim",
    "ClaimedJob",
    "DueJob",
    "JobResult",
    "JobStatus",
    "Ledger",
    "NewJob",
    "NewRun",
    "Role",
    "actor",
    "bounds",
    "claim_each",
    "claim_tokens",
    "forget_history",
    "holders",
    "job_result",
    "job_tables",
    "lost_messages",
    "note_left_out",
    "park",
    "process_actor",
    "queries",
    "result_value",
    "states",
]
