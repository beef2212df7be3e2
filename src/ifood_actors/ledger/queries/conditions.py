"""Conditions of more than one reader: an alert and the gauge of the same name must agree."""

from typing import Final

from ifood_actors.ledger.actor import role_of
from ifood_actors.ledger.bounds import IN_BOUNDS
from ifood_actors.ledger.job_result import result_value
from ifood_actors.ledger.missed import MISSED

# Of an `account` and a `feed(kind, patience)`: no success for longer than the patience, which for
# an account that the planner left out counts from the run that asks it again.
IS_STALE: Final = """
    account.active AND account.created_at < now() - feed.patience AND NOT EXISTS (
      SELECT FROM ifood_jobs AS job
      WHERE job.job_type = feed.kind AND job.account_id = account.id
        AND job.job_day >= (now() - feed.patience)::date - 2
        AND job.status = 'success' AND job.finished_at > now() - feed.patience)
    AND NOT EXISTS (
      SELECT FROM ifood_left_out AS left_out
      WHERE left_out.account_id = account.id AND left_out.job_type = feed.kind
        AND left_out.asked_again_on > (now() - feed.patience)::date)
"""

# Of the rows `job`: the first slot of those that should run now. An age that began anew with each
# attempt would hide a stuck job.
FIRST_DUE: Final = """
    min(job.scheduled_for) FILTER (WHERE job.status = 'pending' AND job.scheduled_for <= now()
      AND coalesce(job.next_retry_at <= now(), true))
"""

# Of a claim `event` of a `job`: how late it was, for the slot that the job had then. A person may
# have moved the slot since. Claims of the first releases do not tell theirs.
LATENESS: Final = """
    greatest(event.at - coalesce(CAST(event.detail ->> 'slot' AS timestamptz), job.scheduled_for),
      INTERVAL '0')
"""

# Of a `job`, as in the statement that operators know; status and slot are there for the index.
IS_OF_A_DAY: Final = """
    job.status = ANY(:statuses) AND job.scheduled_for > now() - INTERVAL '48 hours'
      AND job.created_at > now() - INTERVAL '24 hours'
"""

# Of the rows `job` of a day: the run of each kind in which most stores had rows vanish.
VANISHED: Final = f"""
    (SELECT DISTINCT ON (job_type) job_type AS kind, job_day, count(*) AS stores,
      sum({result_value("vanished")}) AS rows
    FROM ifood_jobs AS job
    WHERE job_type = ANY(:kinds) AND {IS_OF_A_DAY} AND {result_value("vanished")} > 0
    GROUP BY job_type, job_day ORDER BY job_type, stores DESC)
"""

# Of an `account` and a `feed(kind, patience)`: neither of the latest two successes was complete.
IS_INCOMPLETE: Final = f"""
    account.active AND 2 = (
      SELECT count(*) FILTER (WHERE {result_value("complete")} IS FALSE) FROM (
        SELECT result FROM ifood_jobs AS job
        WHERE job.job_type = feed.kind AND job.account_id = account.id
          AND job.merchant_id = account.ifood_merchant_id AND job.status = 'success'
          AND job.job_day >= (now() - 2 * feed.patience)::date - 2
        ORDER BY job.job_day DESC LIMIT 2) AS latest)
"""

# Of a `feed(kind, patience)`: the items that its latest pulls could not read.
REJECTED: Final = """
    ifood_rejected_items AS item
      ON item.kind = feed.kind AND item.last_seen_at > now() - feed.patience
"""

# The latest openings that should have been planned and were not. What no scheduler has planned yet
# starts with today's; who has joined since, or has the job already, takes no part.
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

# The rows `job`: those that are looked at soon and on which no act is possible, since each row of
# the history has to follow the last one, or since a value of an old row is out of bounds. Who is
# parked for ten minutes is among them.
AT_ODDS: Final = f"""
    (SELECT id, wake_at FROM ifood_jobs
    WHERE wake_at < now() + INTERVAL '15 minutes' AND (NOT {IN_BOUNDS} OR coalesce((
      SELECT (event.event_no, event.to_status) <> (ifood_jobs.event_no, ifood_jobs.status)
      FROM ifood_job_events AS event WHERE event.job_id = ifood_jobs.id
      ORDER BY event.event_no DESC LIMIT 1), true)))
"""

# Of a `feed(kind)`: since when the job that has run for the longest does, by the history, whose
# instants nobody can choose. Its lease, and when it is looked at, are what its worker says.
RUNNING_SINCE: Final = """
    (SELECT min(event.at) FROM ifood_jobs AS job
    JOIN ifood_job_events AS event ON event.job_id = job.id AND event.event_no = job.event_no
    WHERE job.job_type = feed.kind AND job.status = 'running')
"""

HISTORY_BYTES: Final = """
    (SELECT sum(pg_total_relation_size(relid)) FROM (
      SELECT relid FROM pg_partition_tree('ifood_job_events')
      UNION SELECT CAST('ifood_job_events' AS regclass)
    ) AS part)
"""

LOST_MESSAGES: Final = f"""
    (SELECT count(*) FROM ifood_job_events
      WHERE at > now() - INTERVAL '15 minutes' AND act = 'dispatch' AND reason = '{MISSED}')
"""
