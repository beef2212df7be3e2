"""A feed: one kind of data that is pulled, from the question to the stored rows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from ifood_actors.feeds.records import Fetched, Origin, Record
from ifood_actors.feeds.rejected import rejected_statement, set_aside
from ifood_actors.feeds.storing import known_statement, lock_statement, store
from ifood_actors.ifood.http import MerchantApi
from ifood_actors.kinds import Kind
from ifood_actors.ledger import JobResult
from ifood_actors.round_trip import ask
from ifood_actors.spans import Period


class Fetch(Protocol):
    """
    Read one merchant's items of a period.

    `timezone` is the account's: it counts where an item does not name its merchant's. Raises
    SchemaBroken, and what the client raises.
    """

    def __call__(self, api: MerchantApi, period: Period, *, timezone: ZoneInfo) -> Fetched: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """How the data of a kind is read and stored: no HTTP in `store`, no SQL in `fetch`."""

    kind: Kind
    table: type[Record]
    fetch: Fetch

    def store(
        self,
        connection: Connection,
        fetched: Fetched,
        *,
        period: Period,
        origin: Origin,
        now: datetime | None = None,
    ) -> JobResult:
        """
        Write what was fetched for `period` in the caller's transaction; twice is the same as once.

        `now` is by default the database's clock. Raises SchemaBroken when Postgres refuses a value.
        """
        whose = origin.merchant_id
        days = {"merchant_id": whose, "start": period.start, "end": period.end}
        [[locked], known, rejected] = ask(
            connection,
            lock_statement(self.table, whose),
            (known_statement(self.table), days),
            rejected_statement(self.kind.name, whose),
        )
        now = now or locked["now"]
        stored = store(
            connection,
            fetched,
            table=self.table,
            period=period,
            block_days=self.kind.block_days,
            origin=origin,
            known=known,
            now=now,
        )
        set_aside(
            connection,
            fetched,
            kind=self.kind.name,
            period=period,
            origin=origin,
            known=rejected,
            now=now,
        )
        return stored
