"""How far runs are, in the one line that operators know. Only reads."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection

from ifood_actors.ledger.rows import rows_of


@dataclass(frozen=True)
class Progress:
    """How many jobs of a run have ended, however they did."""

    run_id: UUID
    kind: str
    job_day: date
    planned: int
    finished: int

    @property
    def line(self) -> str:
        return progress_line(self.finished, self.planned)


def progress_line(finished: int, planned: int) -> str:
    """Say it as in `progress: 25% (250/1000)`."""
    percent = 100 * finished // planned if planned else 100
    return f"progress: {percent}% ({finished}/{planned})"


def progress_of_runs(
    connection: Connection, *, also: Collection[UUID], planned_since: datetime | None
) -> list[Progress]:
    """
    Give the runs whose window has opened and that have open jobs, and those in `also`.

    Those that were planned since an instant as well: they may have ended meanwhile.
    """
    rows = rows_of(
        connection,
        """
        SELECT run.id AS run_id, run.job_type AS kind, run.job_day, run.planned, (
          SELECT count(*) FROM ifood_jobs AS job
          WHERE job.run_id = run.id AND job.status IN ('success', 'failed', 'cancelled')
        ) AS finished
        FROM ifood_runs AS run
        WHERE run.id = ANY(CAST(:also AS uuid[])) OR run.window_start <= now() AND (
          run.created_at > :planned_since
          OR run.id IN (SELECT run_id FROM ifood_jobs WHERE wake_at IS NOT NULL))
        ORDER BY run.window_start, run.job_type
        """,
        also=list(also),
        planned_since=planned_since,
    )
    return [Progress(**row) for row in rows]
