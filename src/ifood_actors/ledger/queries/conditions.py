"""Conditions in SQL that more than one query needs."""

from typing import Final

# Of the rows `job`: the first slot of those that should run now. An age that starts again with
# each attempt would hide a stuck job.
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

# Relays of the release before write no detail: what they miss is known by its text.
LOST_MESSAGES: Final = """
    (SELECT count(*) FROM ifood_job_events
      WHERE at > now() - INTERVAL '15 minutes' AND act = 'dispatch' AND CASE
        WHEN detail IS NULL THEN reason = 'RabbitMQ lost its message, or delivered it early'
        ELSE detail ->> 'missed' = 'true' END)
"""
