"""A merchant whose answers are written down beforehand, and the items to write them with."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import httpx
import simplejson

from ifood_actors.ifood.http.answers import JsonValue, parse
from ifood_actors.ifood.http.client import MerchantApi
from ifood_actors.ifood.http.transport import Answer

Scripted = Mapping[str, Any] | list[Any] | bytes | Exception | None


MERCHANT = "merchant-1"


class ScriptedApi(MerchantApi):
    """
    Gives its answers in order, then nothing for ever; `asked` is what it was asked.

    Answers take the way of real ones, through JSON text, so that money is as exact as there.
    """

    def __init__(self, *answers: Scripted, always: Callable[[], Scripted] = lambda: None) -> None:
        self.merchant_id = MERCHANT
        self.answers = list(answers)
        self.always = always
        self.asked: list[tuple[str, dict[str, str]]] = []

    def get(self, resource: str, params: Mapping[str, str]) -> JsonValue | None:
        self.asked.append((resource, dict(params)))
        answer = self.answers.pop(0) if self.answers else self.always()
        if isinstance(answer, Exception):
            raise answer
        if not isinstance(answer, bytes):
            answer = simplejson.dumps(answer, use_decimal=True).encode()
        return parse(Answer(200, httpx.Headers(), answer))


def a_sale(sale_id: Any = "sale-1", /, **fields: Any) -> dict[str, Any]:
    return {"id": sale_id, "createdAt": "2026-09-20T15:00:00Z"} | fields


def sales_page(*sales: Mapping[str, Any], pages: int | None = 1, **fields: Any) -> dict[str, Any]:
    return {"pageCount": pages, "sales": list(sales)} | fields


def a_title(title_id: str | None = "7", /, **fields: Any) -> dict[str, Any]:
    identity = {} if title_id is None else {"id": title_id}
    return identity | {"type": "REPASSE", "amount": 10, "status": "PENDING"} | fields


def an_anticipation(**fields: Any) -> dict[str, Any]:
    return {
        "type": "REPASSE_ANTECIPADO_DIARIO",
        "originalPaymentAmount": 100,
        "anticipatedPaymentAmount": Decimal("98.50"),
        "originalPaymentDate": "2026-10-14",
        "anticipatedPaymentDate": "2026-09-16",
    } | fields


def a_week(*items: Any, start: str = "2026-09-14", end: str | None = "2026-09-20") -> Any:
    return {
        "startDateCalculation": start,
        "endDateCalculation": end,
        "closingItems": list(items),
    }


def closing(*elements: Any, **fields: Any) -> dict[str, Any]:
    """Give an envelope of settlements or anticipations."""
    return {"settlements": list(elements)} | fields
