"""
The complete pulls that found rows as they were: those are not written, and were seen by the pull.

When a row was last seen, and by which job, `reporting.last_seen` tells from both: what is written
in the row, and the latest pull that covers its days in full.
"""

from dataclasses import asdict
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Column, Connection, Date, Text, Uuid, text
from sqlmodel import Field, SQLModel

from ifood_actors.db import instant
from ifood_actors.feeds.records import Origin, Record
from ifood_actors.spans import Period


class CompletePull(SQLModel, table=True):
    """
    A complete pull of a merchant's records that left rows unwritten.

    It saw every row of `record_table` whose days lie in its period and that was not marked at
    `pulled_at`. One whose period lies within that of a later pull says nothing more, and goes.
    """

    __tablename__ = "ifood_complete_pulls"

    merchant_id: str = Field(sa_column=Column(Text, primary_key=True))
    # The table of the records that it saw.
    record_table: str = Field(sa_column=Column(Text, primary_key=True))
    period_start: date = Field(sa_column=Column(Date, primary_key=True))
    period_end: date = Field(sa_column=Column(Date, primary_key=True))
    pulled_at: datetime = Field(sa_column=instant(nullable=False))
    job_id: UUID = Field(sa_column=Column(Uuid, nullable=False))


def note_complete_pull(
    connection: Connection, table: type[Record], *, period: Period, origin: Origin, now: datetime
) -> None:
    """Note that a pull saw all of a merchant's rows of a period that are not marked."""
    values = {"table": table.__tablename__, "start": period.start, "end": period.end, "now": now}
    for statement in (_FORGET_OUTDONE, _NOTE):
        connection.execute(statement, {**values, **asdict(origin)})


def as_seen_last(table: type[Record]) -> str:
    """
    Give the SQL of a table's records, `job_id` and `last_seen_at` as in `reporting.last_seen`.

    Made for many records: the pull is looked up once for all that have the same days. The view is
    made for few.
    """
    name = str(table.__tablename__)
    own = [c.name for c in SQLModel.metadata.tables[name].columns if c.name not in _SEEN]
    return f"""
        SELECT {", ".join(f"record.{column}" for column in own)},
          {", ".join(f"coalesce(pull.{column}, record.{column}) AS {column}" for column in _SEEN)}
        FROM {name} AS record LEFT JOIN LATERAL (
          SELECT job_id, pulled_at AS last_seen_at FROM ifood_complete_pulls
          WHERE merchant_id = record.merchant_id AND record_table = '{name}'
            AND period_start <= record.covered_from AND period_end >= record.covered_to
          ORDER BY pulled_at DESC LIMIT 1) AS pull
        ON pull.last_seen_at > record.last_seen_at
          AND record.missing_since IS NULL AND record.suspected_since IS NULL
    """


_SEEN: Final = ("job_id", "last_seen_at")
_FORGET_OUTDONE: Final = text("""
    DELETE FROM ifood_complete_pulls
    WHERE merchant_id = :merchant_id AND record_table = :table
      AND period_start >= :start AND period_end <= :end
""")
_NOTE: Final = text("""
    INSERT INTO ifood_complete_pulls
      (merchant_id, record_table, period_start, period_end, pulled_at, job_id)
    VALUES (:merchant_id, :table, :start, :end, :now, :job_id)
""")
