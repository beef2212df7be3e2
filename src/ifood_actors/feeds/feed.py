"""A feed: one kind of data that is pulled, from the question to the stored rows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from ifood_actors.feeds.records import Fetched, Origin, Record
from ifood_actors.feeds.rejected import set_aside
from ifood_actors.feeds.storing import lock_records, store
from ifood_actors.ifood.http import MerchantApi
from ifood_actors.kinds import Kind
from ifood_actors.ledger import JobResult
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
        locked = lock_records(connection, table=self.table, merchant_id=origin.merchant_id)
        now = now or locked
        stored = store(
            connection,
            fetched,
            table=self.table,
            period=period,
            block_days=self.kind.block_days,
            origin=origin,
            now=now,
        )
        set_aside(connection, fetched, kind=self.kind.name, period=period, origin=origin, now=now)
        return stored
