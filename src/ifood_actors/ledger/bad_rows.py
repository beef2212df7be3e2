"""One row that the database refuses must not stop the others of its batch."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError

from ifood_actors.db import reason_of
from ifood_actors.ledger import statements
from ifood_actors.ledger.job_values import NewJob
from ifood_actors.ledger.states import Act
from ifood_actors.logs import get_logger

log = get_logger(__name__)

# Until a job that takes no act is looked at again. A change by hand, which corrects it, wakes it.
PARKED_FOR: Final = timedelta(minutes=10)

RowRefused = DataError | IntegrityError
"""What Postgres says of a row that cannot be: the next row may well be in order."""

Item = TypeVar("Item")
Done = TypeVar("Done")


def skipping_bad_rows(
    connection: Connection,
    batch: Sequence[Item],
    do: Callable[[Sequence[Item]], list[Done]],
    *,
    refused: Callable[[Item, RowRefused], None],
) -> list[Done]:
    """
    Do all of a batch that can be done, and hand each item that cannot to `refused`.

    Where Postgres refuses the whole, each half is done by itself: one bad item of 250 costs some
    fifteen statements more, none costs a savepoint.
    """
    if not batch:
        return []
    try:
        with connection.begin_nested():
            return do(batch)
    except (DataError, IntegrityError) as error:
        if len(batch) == 1:
            refused(batch[0], error)
            return []
    middle = len(batch) // 2
    halves = (batch[:middle], batch[middle:])
    return [
        done for half in halves for done in skipping_bad_rows(connection, half, do, refused=refused)
    ]


def park(connection: Connection, act: Act, job_id: UUID, error: RowRefused) -> None:
    """
    Leave a job alone for a while when the history refuses its act, such as one at odds with it.

    The log names it here, and the alert `HistoryAtOdds` until a person has corrected it. The
    same goes for one of an older release with a value out of all bounds.
    """
    log.error("job.parked", job_id=str(job_id), act=act, reason=reason_of(error))
    try:
        with connection.begin_nested():
            connection.execute(statements.PARK, {"id": job_id, "after": PARKED_FOR})
    except (DataError, IntegrityError) as other:  # out of bounds: no process looks at it anyway
        log.exception("job.not_parked", job_id=str(job_id), reason=reason_of(other))


def not_planned(job: NewJob, error: RowRefused) -> None:
    """Name the account of a job that Postgres does not take, as of one just deleted."""
    log.error("job.not_planned", account_id=str(job.account_id), reason=reason_of(error))
