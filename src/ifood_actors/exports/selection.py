"""
Which records are exported, and which of their columns.

A record belongs to one day that stays, so exports of one month after the other bring each once:
the first of its days, or that on which a loose item was first seen, since later pulls may find it
by other days (`day_column` in `kinds.py`). One that iFood took back is left out unless asked for:
a person who adds up a column would count it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Column, Connection, Row, Table
from sqlmodel import SQLModel

from ifood_actors.accounts import FORMULA
from ifood_actors.feeds import FEEDS, as_seen_last
from ifood_actors.kinds import KINDS

_FIRST = ("account_id", "merchant_id")
_LAST = ("job_id", "first_seen_at", "last_seen_at", "changed_at", "missing_since")
# Of use to the storing of records only; `raw` holds personal data as well.
_LEFT_OUT = (
    *("id", "covered_from", "covered_to", "suspected_since", "suspected_day"),
    *("raw", "digest", "digested_at"),
)

# Gives the SQL with which a format wants a column.
Expression = Callable[[Column[Any]], str]


@dataclass(frozen=True)
class Selection:
    """
    The records of a kind whose day is from `start` to `end`, both included.

    `accounts` are names or merchant ids, none for all; `missing` asks for the records that iFood
    took back as well. `zone` names the clock of that day, and of instants where a format writes no
    zone.
    """

    kind: str
    start: date
    end: date
    zone: str
    accounts: Sequence[str] = field(default=())
    missing: bool = False

    @property
    def columns(self) -> list[Column[Any]]:
        """Give the exported columns, in their order."""
        columns = self._table.columns
        own = [c.name for c in columns if c.name not in (*_FIRST, *_LAST, *_LEFT_OUT)]
        return [columns[name] for name in (*_FIRST, *own, *_LAST)]

    def query(self, expression: Expression) -> tuple[str, dict[str, object]]:
        """Give the SELECT, with the driver's own parameters, and their values."""
        columns = ", ".join(f"{expression(c)} AS {c.name}" for c in self.columns)
        conditions = [f"{self._day} BETWEEN %(start)s AND %(end)s"]
        if not self.missing:
            conditions.append("missing_since IS NULL")
        if self.accounts:
            conditions.append("""
                merchant_id IN (SELECT ifood_merchant_id FROM accounts
                  WHERE name = ANY(%(accounts)s) OR ifood_merchant_id = ANY(%(accounts)s))
            """)
        # Not by the instants of the pulls: then the same records are the same file again.
        statement = f"""
            SELECT {columns} FROM ({as_seen_last(FEEDS[self.kind].table)}) AS record
            WHERE {" AND ".join(conditions)} ORDER BY record.merchant_id, {self._day}, id
        """
        values = {"start": self.start, "end": self.end, "accounts": list(self.accounts)}
        return statement, {**values, "zone": self.zone, "formula": FORMULA}

    @property
    def _table(self) -> Table:
        return SQLModel.metadata.tables[str(FEEDS[self.kind].table.__tablename__)]

    @property
    def _day(self) -> str:
        column = self._table.columns[KINDS[self.kind].day_column]
        if not column.nullable:
            return f"record.{column.name}"
        seen_on = "(record.first_seen_at AT TIME ZONE %(zone)s)::date"
        return f"coalesce(record.{column.name}, {seen_on})"

    def batches(
        self, connection: Connection, expression: Expression, *, size: int
    ) -> Iterator[Sequence[Row[Any]]]:
        """Read the rows by a cursor of the server's, so many at a time."""
        statement, values = self.query(expression)
        options = {"stream_results": True, "max_row_buffer": size}
        result = connection.exec_driver_sql(statement, values, execution_options=options)
        yield from result.partitions(size)


def guarded(column: Column[Any]) -> str:
    """Give a text that no spreadsheet takes for a formula, in SQL."""
    return f"regexp_replace({column.name}, %(formula)s, '''', 'g')"


def by_the_clock(column: Column[Any]) -> str:
    """Give an instant as date and time in the selection's zone, to the second, in SQL."""
    return f"date_trunc('second', {column.name} AT TIME ZONE %(zone)s)"
