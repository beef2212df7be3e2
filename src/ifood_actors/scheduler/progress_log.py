"""The progress of open runs in the log, each quarter once."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Engine

from ifood_actors.db import database_now, transaction
from ifood_actors.ledger.queries.runs import Progress, progress_of_runs
from ifood_actors.logs import get_logger

log = get_logger(__name__)

_QUARTERS = 4


class ProgressLog:
    """Tells how far each open run is: at each quarter, and at the end."""

    _looked_at: datetime | None = None

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._told = dict[UUID, int]()  # quarters, by open run

    def run(self) -> None:
        """Look once; several schedulers each tell it in their own log."""
        with transaction(self._engine) as tx:
            looked_at = database_now(tx)
            runs = progress_of_runs(tx, also=self._told, planned_since=self._looked_at)
        self._looked_at = looked_at
        for run in runs:
            self._tell(run)

    def _tell(self, run: Progress) -> None:
        quarter = _QUARTERS * run.finished // max(run.planned, 1)
        if quarter > self._told.get(run.run_id, 0):
            log.info(run.line, kind=run.kind, job_day=run.job_day)
        if quarter >= _QUARTERS:
            self._told.pop(run.run_id, None)  # when it is opened again, it is told again
        else:
            self._told[run.run_id] = quarter
