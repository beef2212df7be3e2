"""Forgetting the histories of jobs that ended long ago, a batch at a time."""

from datetime import datetime

from sqlalchemy import Connection, text

from ifood_actors import forgetting
from ifood_actors.forgetting import Swept

# Whole histories only, of which no row is younger, no matter what the job says of its end. The lock
# keeps a job from being requeued meanwhile; a job that is held is left for the next time. Ids rise
# with time, or nearly so.
_HISTORY = text("""
    WITH seen AS (
      SELECT id, job_id, at FROM ifood_job_events WHERE id > :after ORDER BY id LIMIT :batch),
    old AS (
      SELECT id FROM ifood_jobs WHERE id IN (SELECT job_id FROM seen WHERE at < :before)
        AND finished_at < :before AND NOT EXISTS (
          SELECT FROM ifood_job_events WHERE job_id = ifood_jobs.id AND at >= :before)
      FOR UPDATE SKIP LOCKED),
    gone AS (
      DELETE FROM ifood_job_events AS event USING old WHERE event.job_id = old.id RETURNING 1)
    SELECT coalesce(max(id), 0) AS up_to, (SELECT count(*) FROM gone) AS forgotten,
      max(at) AS youngest
    FROM seen
""")


def forget_history(connection: Connection, /, *, before: datetime, after: int) -> Swept:
    """
    Delete the histories of jobs that ended before an instant; the jobs themselves stay.

    Looks at the first rows whose id is larger than `after`. A trigger refuses an instant that is
    less than 90 days ago.
    """
    values = {"before": before, "after": after, "batch": forgetting.BATCH}
    return Swept(**connection.execute(_HISTORY, values).mappings().one())
