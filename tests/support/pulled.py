"""Stores whose pulls are scripted, and the views of `reporting` over what was stored."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, text

from ifood_actors.db import transaction
from ifood_actors.feeds import FEEDS
from ifood_actors.spans import Period
from support.scripted_api import ScriptedApi, a_title, a_week, closing, sales_page

WEEK = Period(date(2026, 9, 14), date(2026, 9, 20))
MONDAY = datetime(2026, 9, 21, 4, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)
_ZONE = ZoneInfo("America/Sao_Paulo")


def pull(
    engine: Engine,
    kind: str,
    answer: Any,
    *,
    merchant: str = "a",
    now: datetime = MONDAY,
    period: Period = WEEK,
) -> None:
    feed = FEEDS[kind]
    fetched = feed.fetch(ScriptedApi(answer), period, timezone=_ZONE)
    with transaction(engine) as tx:
        feed.store(
            tx,
            fetched,
            account_id=uuid4(),
            merchant_id=merchant,
            job_id=uuid4(),
            job_day=now.date(),
            period=period,
            now=now,
        )


def pull_titles(engine: Engine, *items: Any, loose: Sequence[Any] = (), **pulled: Any) -> None:
    pull(engine, "settlements_weekly", closing(a_week(*items), *loose), **pulled)


def pull_anticipations(engine: Engine, *items: Any, **pulled: Any) -> None:
    pull(engine, "anticipations_daily", closing(a_week(*items)), **pulled)


def pull_sales(engine: Engine, *items: Any, **pulled: Any) -> None:
    pull(engine, "sales", sales_page(*items), **pulled)


def money(number: int, type_: str, amount: str, **fields: Any) -> dict[str, Any]:
    return a_title(str(number), type=type_, amount=Decimal(amount), **fields)


def read(engine: Engine, view: str, columns: str, order: str = "1") -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        query = f"SELECT {columns} FROM reporting.{view} ORDER BY {order}"
        return [tuple(row) for row in connection.execute(text(query))]
