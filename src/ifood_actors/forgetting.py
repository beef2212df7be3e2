"""Forgetting what is old, a batch at a time, so that no process waits long for a lock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

BATCH: Final = 5000  # rows that are looked at


@dataclass(frozen=True, slots=True)
class Swept:
    """
    What a batch did: it looked at rows up to the id `up_to`, and `forgotten` is a number of rows.

    `youngest` is from when the last of those that it looked at are; None when there were none.
    """

    up_to: int
    forgotten: int
    youngest: datetime | None


def sweep(connection: Connection, table: str, /, *, by: str, before: datetime, after: int) -> Swept:
    """
    Delete the rows of a table whose column `by` is before an instant.

    Looks at the first rows whose id is larger than `after`; ids rise with `by`, or nearly so.
    """
    statement = text(f"""
        WITH seen AS (
          SELECT id, {by} AS at FROM {table} WHERE id > :after ORDER BY id LIMIT :batch),
        gone AS (
          DELETE FROM {table} AS old USING seen
          WHERE old.id = seen.id AND old.{by} < :before RETURNING 1)
        SELECT coalesce(max(id), 0) AS up_to, (SELECT count(*) FROM gone) AS forgotten,
          max(at) AS youngest
        FROM seen
    """)
    values = {"before": before, "after": after, "batch": BATCH}
    return Swept(**connection.execute(statement, values).mappings().one())
