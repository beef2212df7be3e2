"""Planning a run: who takes part, when each starts, and one job for each in the ledger."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from ifood_actors import operator_acts
from ifood_actors.accounts import count_active
from ifood_actors.config import Settings
from ifood_actors.db import database_now, transaction
from ifood_actors.kinds import KINDS
from ifood_actors.ledger import Ledger, NewJob, NewRun, Role, note_left_out, result_value
from ifood_actors.ledger.queries.runs import planned_days
from ifood_actors.logs import get_logger
from ifood_actors.planning.cadence import (
    CATCH_UP_LIMIT,
    DAY,
    Cadence,
    Opening,
    due_openings,
    latest_opening,
    local_day,
    opening_on,
)
from ifood_actors.planning.idling import NotFoundStreak, asked_again_on, look_back
from ifood_actors.planning.pacing import Candidate, spread

log = get_logger(__name__)

# Why an account was left out of a run.
IDLE: Final = "idle: nothing but 404 for 14 days"

_UNPLANNED = text("""
    SELECT account.id, account.ifood_merchant_id AS merchant_id, account.priority
    FROM accounts AS account
    WHERE account.active AND coalesce(account.created_at <= :added_before, true)
      AND (CAST(:only AS text[]) IS NULL
        OR account.name = ANY(:only) OR account.ifood_merchant_id = ANY(:only))
      AND NOT EXISTS (
        SELECT FROM ifood_jobs AS job
        WHERE job.job_type = :kind AND job.job_day = :job_day AND job.account_id = account.id
          AND job.merchant_id = account.ifood_merchant_id)
""")

_WASTED, _REQUESTS = result_value("wasted"), result_value("requests")
_SILENT = text(f"""
    SELECT job.account_id,
      min(job_day) FILTER (WHERE status = 'success') AS first,
      max(job_day) FILTER (WHERE status = 'success') AS last,
      max(job_day) FILTER (WHERE status IN ('pending', 'running', 'success')) AS asked
    FROM ifood_jobs AS job JOIN accounts AS account
      ON account.id = job.account_id AND account.ifood_merchant_id = job.merchant_id
    WHERE job_type = :kind AND job_day >= :since AND account.active
    GROUP BY job.account_id
    -- Jobs of a release that did not count them prove nothing.
    HAVING bool_and(coalesce({_WASTED} > 0 AND {_WASTED} = {_REQUESTS}, false))
      FILTER (WHERE status = 'success')
""")


@dataclass(frozen=True)
class PlanRequest:
    """What to plan: an opening, as the settings say."""

    opening: Opening
    settings: Settings
    only: Sequence[str] | None = None  # names or merchant ids of accounts; None is everybody
    added_before: datetime | None = None  # leave out accounts that are newer


@dataclass(frozen=True)
class RunPlan:
    """
    A run and the jobs that it lacks, in the order in which they start.

    `left_out` are the idle accounts, with the day of the run that asks each again. `new` is how
    many of the jobs were written: 0 before that, and fewer than all where another process planned
    the same run meanwhile.
    """

    run: NewRun
    jobs: Sequence[NewJob]
    left_out: Mapping[UUID, date]
    new: int = 0

    @property
    def changes(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.jobs or self.left_out)

    @property
    def counts(self) -> dict[str, object]:
        """What was written, in numbers."""
        return {"job_day": self.run.job_day, "jobs": self.new, "left_out": len(self.left_out)}


def cadences(settings: Settings) -> dict[str, Cadence]:
    """Give every kind its window."""
    return {kind: Cadence(kind, settings.window_of(kind)) for kind in KINDS}


def latest_openings(settings: Settings, *, at: datetime) -> dict[str, object]:
    """Give each kind's latest opening, as columns that a statement binds; see `WITHOUT_RUN`."""
    zone = settings.timezone
    latest = [latest_opening(each, at=at, zone=zone) for each in cadences(settings).values()]
    return {
        "opened_kinds": [each.kind for each in latest],
        "opened_days": [each.job_day for each in latest],
        "opened_at": [each.window_start for each in latest],
        "today": local_day(at, zone=zone),
        "planner": Role.SCHEDULER,
    }


def patience(settings: Settings) -> dict[str, timedelta]:
    """
    Give for each kind how old an account's last success may be.

    As long as it is from one window to the next, and a day to repair what failed.
    """
    weekly = {kind: settings.window_of(kind).weekday is not None for kind in KINDS}
    return {kind: (7 * DAY if each else DAY) + DAY for kind, each in weekly.items()}


def idle_shares(tx: Connection, settings: Settings) -> dict[str, float]:
    """Give the share of the active accounts that the next run may leave out, by kind; 0 is none."""
    today = local_day(database_now(tx), zone=settings.timezone)
    active = max(1, count_active(tx))
    shares = {}
    for kind, declared in KINDS.items():
        if every := declared.idle_days(settings):
            found = not_found_streaks(tx, kind, since=today - look_back(every))
            shares[kind] = sum(each.is_idle for each in found.values()) / active
    return shares


def not_found_streaks(
    connection: Connection, kind: str, *, since: date
) -> dict[UUID, NotFoundStreak]:
    """
    Give the active accounts whose every answer since a day was 404, by their id.

    Whether one is idle follows from its days: see `NotFoundStreak`.
    """
    rows = connection.execute(_SILENT, {"kind": kind, "since": since}).mappings()
    return {row["account_id"]: NotFoundStreak(**row) for row in rows}


def plan(engine: Engine, wanted: PlanRequest, *, actor: str) -> RunPlan:
    """
    Write a run's jobs: one transaction, set-based, and nothing for accounts that have their job.

    Called twice, or by ten processes at once, it plans once: the unique keys of runs and jobs are
    the lock. Raises DoesNotFit when the batch size cannot start everybody within the window.
    """
    with transaction(engine) as tx:
        planned = _write(tx, _draft(tx, wanted), wanted.settings, actor=actor)
    _log(planned)
    return planned


def plan_by_hand(engine: Engine, wanted: PlanRequest, *, actor: str) -> RunPlan:
    """Do what `plan` does if there is a job to write, and note it as an act of the operator."""
    with transaction(engine) as tx:
        draft = _draft(tx, wanted)
        if not draft.jobs:
            return draft
        planned = _write(tx, draft, wanted.settings, actor=actor)
        only = operator_acts.few(wanted.only) if wanted.only else None
        told = {**planned.counts, "only": only}
        operator_acts.note(tx, "plan", actor=actor, subject=planned.run.kind, **told)
    _log(planned)
    return planned


def preview(engine: Engine, wanted: PlanRequest) -> RunPlan:
    """Tell what `plan` would write, and write nothing. Raises what `plan` raises."""
    with transaction(engine) as tx:
        return _draft(tx, wanted)


def plan_due(
    engine: Engine, settings: Settings, *, kind: str, at: datetime, actor: str
) -> list[RunPlan]:
    """
    Plan every run of a kind whose window has opened, also those missed, oldest first.

    An account takes part from the first window on that opens after it was added: a thousand
    accounts that are added at noon do not run at once; a plan by hand can ask for that. Days
    are caught up from the first one that a scheduler planned: a past day that a person plans does
    not bring all days since.
    """
    cadence, zone = cadences(settings)[kind], settings.timezone
    with transaction(engine) as tx:
        known = planned_days(tx, kind, since=local_day(at, zone=zone) - CATCH_UP_LIMIT)
    ours = [day for day, role in known.items() if role == Role.SCHEDULER]
    openings = due_openings(cadence, since=min(ours, default=None), at=at, zone=zone)
    planned = []
    for opening in openings:
        on_time = opening_on(cadence, opening.job_day, zone=zone)
        if opening.job_day not in known and on_time:
            wanted = PlanRequest(opening, settings, added_before=on_time.window_start)
            planned.append(plan(engine, wanted, actor=actor))
    return [run for run in planned if run.jobs]


def _write(tx: Connection, draft: RunPlan, settings: Settings, *, actor: str) -> RunPlan:
    if not draft.changes:
        return draft
    ledger = Ledger(tx, actor=actor)
    run_id = ledger.start_run(draft.run)
    new = ledger.plan(run_id, draft.run, draft.jobs, horizon=settings.dispatch_horizon)
    asked = [job.account_id for job in draft.jobs]
    note_left_out(tx, draft.run, draft.left_out, asked=asked, reason=IDLE)
    return replace(draft, new=new)


def _log(planned: RunPlan) -> None:
    if planned.changes:
        log.info("run.planned", kind=planned.run.kind, **planned.counts)


def _draft(tx: Connection, wanted: PlanRequest) -> RunPlan:
    opening, settings = wanted.opening, wanted.settings
    period = KINDS[opening.kind].period(opening.job_day, settings)
    values = {
        "kind": opening.kind,
        "job_day": opening.job_day,
        "only": list(wanted.only) if wanted.only else None,
        "added_before": wanted.added_before,
    }
    accounts = {row.id: row for row in tx.execute(_UNPLANNED, values)}
    left_out = _left_out(tx, wanted, accounts)
    accounts = {id_: row for id_, row in accounts.items() if id_ not in left_out}
    pacing = spread(
        [Candidate(row.id, row.priority) for row in accounts.values()],
        opening.window_start,
        opening.window_end,
        batch_size=settings.batch_size,
        overflow=settings.window_overflow,
    )
    run = NewRun(
        kind=opening.kind,
        job_day=opening.job_day,
        window_start=pacing.window_start,
        window_end=pacing.window_end,
        batch_size=pacing.batch_size,
        period_start=period.start,
        period_end=period.end,
        complete=wanted.only is None,
    )
    jobs = [
        NewJob(account_id, accounts[account_id].merchant_id, accounts[account_id].priority, slot)
        for account_id, slot in pacing
    ]
    return RunPlan(run, jobs, left_out)


def _left_out(tx: Connection, wanted: PlanRequest, accounts: Collection[UUID]) -> dict[UUID, date]:
    """Give the idle accounts that this day does not ask; none where accounts are named."""
    kind, day = wanted.opening.kind, wanted.opening.job_day
    every = KINDS[kind].idle_days(wanted.settings)
    if not every or wanted.only is not None:
        return {}
    found = not_found_streaks(tx, kind, since=day - look_back(every))
    again = {
        id_: asked_again_on(streak, day, every=every)
        for id_, streak in found.items()
        if streak.is_idle and id_ in accounts
    }
    return {id_: on for id_, on in again.items() if on > day}
