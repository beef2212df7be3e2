"""
The state machine of a job, as a table: each arrow, its name, where it starts and where it ends.

Pure, and the only place that says so: `statements.py` takes the guard and the new status of each
act from here, `docs/architecture.md` its picture, and tests compare the triggers that judge the
history with it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class JobStatus(StrEnum):
    """Where a job is; the values are those of `ifood_jobs.status` in the operators' own SQL."""

    PENDING = "pending"  # waits for its slot, its next attempt, or a worker
    RUNNING = "running"  # claimed: a worker holds its lease
    SUCCESS = "success"  # its records are stored
    FAILED = "failed"  # ended without success; `error_code` says why
    CANCELLED = "cancelled"  # taken out before it ran


class Act(StrEnum):
    """What happened to a job; each act leaves one row in its history, with this name."""

    PLAN = "plan"  # written by the planner
    DISPATCH = "dispatch"  # its message was handed to RabbitMQ
    CLAIM = "claim"  # a worker took it, and the attempt is charged
    SUCCEED = "succeed"  # its records and `success` were stored
    RETRY = "retry"  # waits for the next attempt; this one stays charged
    SNOOZE = "snooze"  # waits; the attempt, if one was charged, is given back
    FAIL = "fail"  # ended without success
    RESCUE = "rescue"  # taken from a worker that died, or whose lease ended
    CANCEL = "cancel"  # taken out
    REQUEUE = "requeue"  # pending again, attempts from zero
    MANUAL = "manual"  # changed by SQL of a person; a trigger writes the row


PENDING, RUNNING, SUCCESS, FAILED, CANCELLED = JobStatus
FINAL: Final = frozenset({SUCCESS, FAILED, CANCELLED})


@dataclass(frozen=True, slots=True)
class Transition:
    """
    One arrow of the machine.

    `sources` are the statuses that it may start from, none for a job that is new; `target` is the
    status that it leads to, None for any. `by` names who does it.
    """

    act: Act
    sources: frozenset[JobStatus]
    target: JobStatus | None
    by: str

    @property
    def guard(self) -> str:
        """
        The sources as a condition of SQL on the column `status`.

        Raises ValueError where there is none: a job that is new has no row to look at.
        """
        if not self.sources:
            raise ValueError(f"{self.act} starts from no status")
        names = ", ".join(f"'{each}'" for each in JobStatus if each in self.sources)
        return f"status IN ({names})"

    @property
    def arrows(self) -> list[tuple[JobStatus | None, JobStatus]]:
        """Every pair of source (None: the job is new) and target."""
        targets = JobStatus if self.target is None else (self.target,)
        return [(source, target) for source in self.sources or (None,) for target in targets]


def checked(transitions: Mapping[str, Transition]) -> Mapping[str, Transition]:
    """
    Return the table, or raise ValueError where it is no state machine of a job.

    Each act has an arrow, each status is reached from a new job and no arrow is there twice; who
    waits or runs can go on, and nothing but SQL by hand leaves `success`.
    """
    if missing := set(Act) - {each.act for each in transitions.values()}:
        raise ValueError(f"acts without an arrow: {', '.join(sorted(missing))}")
    arrows = [(each.act, *arrow) for each in transitions.values() for arrow in each.arrows]
    if len(arrows) != len(set(arrows)):
        raise ValueError("an arrow is there twice")
    moves = {(source, target) for act, source, target in arrows if act is not Act.MANUAL}
    if unreached := set(JobStatus) - _reached(moves):
        raise ValueError(f"no act leads to {', '.join(sorted(unreached))}")
    if stuck := set(JobStatus) - FINAL - {source for source, target in moves if source != target}:
        raise ValueError(f"no act leads on from {', '.join(sorted(stuck))}")
    if any(source is SUCCESS for source, _ in moves):
        raise ValueError("an act leaves success")
    return transitions


def _reached(moves: Iterable[tuple[JobStatus | None, JobStatus]]) -> set[JobStatus | None]:
    reached: set[JobStatus | None] = {None}
    for _ in JobStatus:
        reached |= {target for source, target in moves if source in reached}
    return reached


def _transition(act: Act, *sources: JobStatus, to: JobStatus | None, by: str) -> Transition:
    return Transition(act, frozenset(sources), to, by)


# Each by the name of the method of `Ledger` that does it; triggers write `manual`.
TRANSITIONS: Final = checked(
    {
        "plan": _transition(Act.PLAN, to=PENDING, by="planner"),
        "dispatch": _transition(Act.DISPATCH, PENDING, to=PENDING, by="relay"),
        "claim": _transition(Act.CLAIM, PENDING, to=RUNNING, by="worker"),
        "succeed": _transition(Act.SUCCEED, RUNNING, to=SUCCESS, by="worker, fenced"),
        "retry": _transition(Act.RETRY, RUNNING, to=PENDING, by="worker, fenced"),
        "snooze": _transition(Act.SNOOZE, RUNNING, to=PENDING, by="worker, fenced"),
        "snooze_unclaimed": _transition(
            Act.SNOOZE, PENDING, to=PENDING, by="the gate before the claim"
        ),
        "fail": _transition(Act.FAIL, RUNNING, to=FAILED, by="worker, fenced"),
        "rescue": _transition(Act.RESCUE, RUNNING, to=PENDING, by="scheduler"),
        "rescue_as_failed": _transition(Act.RESCUE, RUNNING, to=FAILED, by="scheduler"),
        "cancel": _transition(
            Act.CANCEL,
            PENDING,
            to=CANCELLED,
            by="operator, or the claim when the account is disabled",
        ),
        "requeue": _transition(Act.REQUEUE, FAILED, CANCELLED, to=PENDING, by="operator"),
        "manual": _transition(Act.MANUAL, *JobStatus, to=None, by="a person's SQL"),
    }
)


def diagram() -> str:
    """Draw the table in mermaid's language, without `manual`, which leads from any to any."""
    acts: dict[tuple[str, str], list[str]] = {}
    for source in (None, *JobStatus):
        for each in TRANSITIONS.values():
            if each.act is not Act.MANUAL and (source, each.target) in each.arrows:
                arrow = acts.setdefault((source or "[*]", str(each.target)), [])
                arrow.append(each.act)
    lines = [f"{source} --> {target}: {', '.join(each)}" for (source, target), each in acts.items()]
    return "\n    ".join(["stateDiagram-v2", *lines, f"{SUCCESS} --> [*]"])
