"""Stored records: as if pulls had brought them, or brought by pulls of scripted answers."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, insert, text

from ifood_actors.db import transaction
from ifood_actors.feeds import FEEDS, Origin
from ifood_actors.spans import Period
from support.api import ScriptedApi, a_title, a_week, closing, sales_page

DAY = date(2026, 3, 31)
PULLED = datetime(2026, 4, 1, 6, 30, 15, 123456, tzinfo=UTC)
ACCOUNT = UUID(int=1)
JOB = UUID(int=2)

_SALES_SQL = Path(__file__).parents[2] / "scripts" / "benchmarks" / "sales.sql"
_EVERY: dict[str, Any] = {
    "account_id": ACCOUNT,
    "merchant_id": "m-1",
    "job_id": JOB,
    "first_seen_at": PULLED,
    "last_seen_at": PULLED,
    "changed_at": PULLED,
    "raw": {"bankAccount": "secret"},
}
_OWN: dict[str, dict[str, Any]] = {
    "sales": {"created_at": PULLED},
    "settlements_weekly": {"type": "REPASSE", "amount": Decimal("1234.50")},
    "anticipations_daily": {
        "type": "REPASSE_ANTECIPADO_DIARIO",
        "original_payment_amount": Decimal(100),
        "anticipated_payment_amount": Decimal("98.51"),
    },
}
_NUMBERED = {"sales": "sale_id", "settlements_weekly": "title_id", "anticipations_daily": "ordinal"}


def store(engine: Engine, kind: str, *records: Mapping[str, object], day: date = DAY) -> None:
    """Store records of one day; each names only what is particular about it."""
    key = _NUMBERED[kind]
    with transaction(engine) as tx:
        for number, record in enumerate(records or [{}], start=1):
            days: dict[str, Any] = {"covered_from": day, "covered_to": day}
            own = ("sale_day",) if kind == "sales" else ("calculation_start", "calculation_end")
            days |= dict.fromkeys(own, day)
            named = {key: number if key == "ordinal" else f"{key}-{day}-{number}"}
            values = {**_EVERY, **_OWN[kind], **days, **named, **record}
            tx.execute(insert(FEEDS[kind].table).values(values))


def store_many_sales(engine: Engine, count: int, *, merchants: int = 100) -> None:
    """Store sales like iFood's own, a month of them."""
    with transaction(engine) as tx:
        tx.execute(text(_SALES_SQL.read_text()), {"count": count, "merchants": merchants})


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
            period=period,
            origin=Origin(
                account_id=uuid4(),
                merchant_id=merchant,
                job_id=uuid4(),
                job_day=now.date(),
            ),
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
