"""The figures of jobs and runs: how many, how late, and which runs are missing."""

from datetime import timedelta
from typing import Final

from ifood_actors.figures.figure import ALL, LONG, SELDOM, SHORT, AlertRule, Query, figure, fixed
from ifood_actors.ledger.actor import role_of
from ifood_actors.ledger.queries.conditions import FIRST_DUE, IS_OF_A_DAY

KIND: Final = {"kind": ()}

_LATE = 60  # seconds: a job that should have started
# Of so few jobs, the ones that run or wait for another attempt are already a share.
_FEW_JOBS = 20


_JOBS = Query(
    labels={**KIND, "status": ()},
    statement="""
        SELECT wanted.kind, wanted.status, coalesce(found.jobs, 0) AS ifood_jobs
        FROM (
          SELECT kind, status FROM unnest(CAST(:kinds AS text[])) AS kind
          CROSS JOIN unnest(CAST(:statuses AS text[])) AS status
        ) AS wanted
        LEFT JOIN (
          SELECT job_type, status, count(*) AS jobs FROM ifood_jobs
          WHERE job_type = ANY(:kinds) AND status IN ('pending', 'running', 'failed', 'cancelled')
          GROUP BY 1, 2
          UNION ALL
          SELECT job_type, status, count(*) FROM ifood_jobs
          WHERE job_type = ANY(:kinds) AND status = 'success'
            AND scheduled_for > now() - INTERVAL '7 days'
          GROUP BY 1, 2
        ) AS found(kind, status, jobs) USING (kind, status)
    """,
)
# Since when a job runs is read from the history, whose instants no login can choose. Its lease, and
# when the relay looks at it next, are what its worker says.
_DUE = Query(
    labels=KIND,
    statement=f"""
        SELECT kind, count(job.id) AS ifood_run_behind_jobs,
          coalesce(extract(epoch FROM now() - {FIRST_DUE}), 0) AS ifood_oldest_due_seconds,
          coalesce(extract(epoch FROM now() - (
            SELECT min(event.at) FROM ifood_jobs AS job
            JOIN ifood_job_events AS event
              ON event.job_id = job.id AND event.event_no = job.event_no
            WHERE job.job_type = feed.kind AND job.status = 'running'
          )), 0) AS ifood_longest_running_seconds
        FROM unnest(CAST(:kinds AS text[])) AS feed(kind)
        LEFT JOIN ifood_jobs AS job ON job.job_type = kind
          AND job.status IN ('pending', 'running') AND job.scheduled_for <= now()
        GROUP BY kind
    """,
)
_RUNS = Query(
    labels=KIND,
    statement="""
        SELECT run.job_type AS kind, run.planned AS ifood_run_planned, (
          SELECT count(*) FROM ifood_jobs AS job
          WHERE job.run_id = run.id AND job.status IN ('success', 'failed', 'cancelled')
        ) AS ifood_run_done
        FROM (
          SELECT DISTINCT ON (job_type) id, job_type, planned FROM ifood_runs
          WHERE job_type = ANY(:kinds) AND window_start <= now()
          ORDER BY job_type, window_start DESC
        ) AS run
    """,
)
# The latest openings that should have been planned and were not. What no scheduler has planned yet
# starts with today's; accounts that joined since, or have the job already, take no part.
WITHOUT_RUN: Final = f"""
    (SELECT * FROM unnest(CAST(:opened_kinds AS text[]), CAST(:opened_days AS date[]),
      CAST(:opened_at AS timestamptz[])) AS opening(kind, day, at)
    WHERE NOT EXISTS (
      SELECT FROM ifood_runs AS run
      WHERE run.job_type = opening.kind AND run.job_day = opening.day AND run.complete)
    AND (opening.day = CAST(:today AS date) OR EXISTS (
      SELECT FROM ifood_runs AS run
      WHERE run.job_type = opening.kind AND run.job_day < opening.day AND run.complete
        AND {role_of("run.created_by")} = :planner))
    AND EXISTS (
      SELECT FROM accounts AS account
      WHERE account.active AND account.created_at <= opening.at AND NOT EXISTS (
        SELECT FROM ifood_jobs AS job
        WHERE job.job_type = opening.kind AND job.job_day = opening.day
          AND job.account_id = account.id AND job.merchant_id = account.ifood_merchant_id)))
"""
_UNPLANNED_RUNS = Query(
    labels=KIND,
    statement=f"""
        SELECT kind, day,
          coalesce(extract(epoch FROM now() - at), 0) AS ifood_window_without_run_seconds
        FROM unnest(CAST(:kinds AS text[])) AS kind LEFT JOIN {WITHOUT_RUN} AS opening USING (kind)
    """,
)
_LAST_DAY = Query(
    every=SELDOM,
    labels=KIND,
    statement=f"""
        SELECT kind, count(job.id) AS ifood_jobs_24h,
          count(job.id) FILTER (WHERE job.status = 'failed') AS ifood_job_failures_24h
        FROM unnest(CAST(:kinds AS text[])) AS kind
        LEFT JOIN ifood_jobs AS job ON job.job_type = kind AND {IS_OF_A_DAY}
        GROUP BY kind
    """,
)

RUN_FIGURES: Final = (
    figure(
        "ifood_jobs",
        "jobs; of `success`, only those whose slot lies in the last 7 days",
        _JOBS,
        AlertRule(
            "JobsPending",
            "Too many pending jobs",
            "more than {limit} jobs are pending while one is late",
            "{number} jobs are pending, and the first of them should have started",
            lambda settings: settings.alert_pending_max,
            wait=SHORT,
            severity="warning",
            # A run that has just been planned has more pending jobs than any limit, and nothing
            # is wrong.
            samples=f"""
                SELECT '{ALL}' AS subject, sum(ifood_jobs) AS value
                FROM ({_JOBS.statement}) AS jobs WHERE status = 'pending'
                HAVING (SELECT max(ifood_oldest_due_seconds) FROM ({_DUE.statement}) AS due)
                  > {_LATE}
            """,
            promql='sum(ifood_jobs{status="pending"}) > {limit}\n'
            f"and max(ifood_oldest_due_seconds) > {_LATE}",
        ),
    ),
    figure(
        "ifood_job_failures_24h",
        "jobs that were planned in the last 24 hours and have failed",
        _LAST_DAY,
        AlertRule(
            "JobsFailed",
            "Too many failed jobs",
            "more than {limit} jobs of the last 24 hours have failed",
            "{number} jobs of the last 24 hours have failed",
            lambda settings: settings.alert_failed_max,
            calm=LONG,
            samples=f"""
                SELECT '{ALL}' AS subject, sum(ifood_job_failures_24h) AS value
                FROM ({_LAST_DAY.statement}) AS day
            """,
            promql="sum(ifood_job_failures_24h)",
        ),
        AlertRule(
            "FailureRate",
            "High failure rate",
            "more than {limit} of a kind's jobs of the last 24 hours have failed",
            "{number} of the jobs of the last 24 hours have failed: {failed} of {jobs}",
            lambda settings: settings.alert_failure_rate.of_one,
            unit="share",
            wait=SHORT,
            calm=LONG,
            samples=f"""
                SELECT kind AS subject,
                  ifood_job_failures_24h / ifood_jobs_24h::float8 AS value,
                  ifood_job_failures_24h AS failed, ifood_jobs_24h AS jobs
                FROM ({_LAST_DAY.statement}) AS day WHERE ifood_jobs_24h > 0
            """,
            promql="ifood_job_failures_24h / ifood_jobs_24h",
            summary="{number} of the {kind} jobs of the last 24 hours have failed",
        ),
    ),
    figure("ifood_jobs_24h", "jobs that were planned in the last 24 hours", _LAST_DAY),
    figure(
        "ifood_run_behind_jobs",
        "jobs whose slot has passed and that have not ended, those in work included",
        _DUE,
        AlertRule(
            "RunBehind",
            "A run is behind its schedule",
            f"more than {_FEW_JOBS} jobs and {{limit}} of a day's are late or not done",
            "{behind} jobs should have started and have not ended: {number} of those of a day",
            fixed(0.10),
            unit="share",
            wait=timedelta(minutes=15),
            severity="warning",
            # Those behind may be of the days before, and more than were planned in this one, which
            # may be none.
            samples=f"""
                SELECT kind AS subject, ifood_run_behind_jobs AS behind, ifood_run_behind_jobs
                  / greatest(ifood_jobs_24h, ifood_run_behind_jobs)::float8 AS value
                FROM ({_DUE.statement}) AS due JOIN ({_LAST_DAY.statement}) AS day USING (kind)
                WHERE ifood_run_behind_jobs > {_FEW_JOBS}
            """,
            promql="clamp_max(ifood_run_behind_jobs / clamp_min(ifood_jobs_24h, 1), 1)"
            " > {limit}\nand ifood_run_behind_jobs > "
            f"{_FEW_JOBS}",
            summary="{number} of a day's {kind} jobs should have started and have not ended",
        ),
    ),
    figure(
        "ifood_oldest_due_seconds",
        "how long ago the slot of the first pending job was that is due, 0 if none is; a job that "
        "waits for its next attempt is not due",
        _DUE,
        AlertRule(
            "JobOverdue",
            "A job is overdue",
            "a pending job's slot passed more than {limit} ago, or a job runs for longer",
            "{what} {number} ago",
            fixed(30 * 60),
            unit="seconds",
            wait=SHORT,
            samples=f"""
                SELECT kind AS subject, what, value FROM ({_DUE.statement}) AS due
                CROSS JOIN LATERAL (VALUES
                  ('the slot of a pending job passed', ifood_oldest_due_seconds),
                  ('a running job, which nobody took back, was claimed',
                    ifood_longest_running_seconds)) AS each(what, value)
                ORDER BY value
            """,
            promql="ifood_oldest_due_seconds > {limit} or ifood_longest_running_seconds > {limit}",
            summary="a {kind} job should have started, or is running, since {number}",
        ),
    ),
    figure(
        "ifood_longest_running_seconds",
        "how long ago the job that has run for the longest was claimed, by the history; 0 if none "
        "runs",
        _DUE,
    ),
    figure("ifood_run_planned", "jobs of the kind's latest run; missing if there was none", _RUNS),
    figure("ifood_run_done", "those of them that have ended, however they did", _RUNS),
    figure(
        "ifood_window_without_run_seconds",
        "how long ago the kind's latest window opened, if its run was not planned although "
        "accounts take part, else 0",
        _UNPLANNED_RUNS,
        AlertRule(
            "WindowWithoutRun",
            "A window without a run",
            "a kind's latest window opened more than {limit} ago, accounts take part, and no "
            "complete run of its day is planned",
            "the window of {day} opened {number} ago, and no scheduler has planned its run",
            # A tick of the planner, and the transaction of a very large run.
            fixed(2 * 60),
            unit="seconds",
            wait=timedelta(minutes=3),
            summary="the window of {kind} opened {number} ago, and its run was not planned",
        ),
    ),
)
