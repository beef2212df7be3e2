"""
The state machine of a job: every status, every act, and which act leads from where to where.

Pure data: the ledger guards it in SQL, the history is checked against it, and the picture in
`docs/architecture.md` is drawn from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job stands; the words are those of the operators' own SQL."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Act(StrEnum):
    """What happened to a job; each act leaves one row in its history."""

    PLAN = "plan"
    DISPATCH = "dispatch"
    CLAIM = "claim"
    SUCCEED = "succeed"
    RETRY = "retry"
    SNOOZE = "snooze"
    FAIL = "fail"
    RESCUE = "rescue"
    CANCEL = "cancel"
    REQUEUE = "requeue"
    MANUAL = "manual"


@dataclass(frozen=True)
class Transition:
    """One act: the statuses it may leave (empty: the job is new), and those it may reach."""

    sources: frozenset[JobStatus]
    targets: frozenset[JobStatus]
    by: str


PENDING, RUNNING, SUCCESS, FAILED, CANCELLED = JobStatus
FINAL = frozenset({SUCCESS, FAILED, CANCELLED})
ANY = frozenset(JobStatus)


def _to(*targets: JobStatus, since: frozenset[JobStatus], by: str) -> Transition:
    return Transition(sources=since, targets=frozenset(targets), by=by)


TRANSITIONS: Mapping[Act, Transition] = {
    Act.PLAN: _to(PENDING, since=frozenset(), by="planner"),
    Act.DISPATCH: _to(PENDING, since=frozenset({PENDING}), by="relay"),
    Act.CLAIM: _to(RUNNING, since=frozenset({PENDING}), by="worker"),
    Act.SUCCEED: _to(SUCCESS, since=frozenset({RUNNING}), by="worker, fenced"),
    Act.RETRY: _to(PENDING, since=frozenset({RUNNING}), by="worker, charged"),
    Act.SNOOZE: _to(PENDING, since=frozenset({RUNNING, PENDING}), by="worker, not charged"),
    Act.FAIL: _to(FAILED, since=frozenset({RUNNING}), by="worker"),
    Act.RESCUE: _to(PENDING, FAILED, since=frozenset({RUNNING}), by="relay"),
    Act.CANCEL: _to(CANCELLED, since=frozenset({PENDING}), by="operator"),
    Act.REQUEUE: _to(PENDING, since=frozenset({FAILED, CANCELLED}), by="operator"),
    Act.MANUAL: _to(*JobStatus, since=ANY, by="SQL by hand"),
}


def allowed(act: Act, source: JobStatus | None, target: JobStatus) -> bool:
    """Tell whether `act` may lead from `source` (None: the job is new) to `target`."""
    transition = TRANSITIONS[act]
    leaves = source is None if not transition.sources else source in transition.sources
    return leaves and target in transition.targets
