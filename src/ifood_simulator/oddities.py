"""What the fault `odd` makes of the first item of an answer."""

from decimal import Decimal
from typing import Any, Literal

import simplejson

from ifood_simulator.world import dumps

Odd = Literal[
    "decimals",  # an amount with three decimals
    "no_amount",  # the amount is absent
    "text",  # the amount is text
    "null",  # null in place of the item
    "no_id",  # an item without its id
    "timed_days",  # days are instants, midnight in São Paulo
    "no_list",  # the period lacks its list, as if nothing had closed in it
]
_AMOUNTS = ("bag", "amount", "originalPaymentAmount")
_DAYS = {"paymentDate", "originalPaymentDate", "anticipatedPaymentDate"}


def odd(body: bytes, how: Odd) -> bytes:
    """Change the first item of an answer; an answer without items stays as it is."""
    document = simplejson.loads(body, use_decimal=True) if body else []
    envelopes = document if isinstance(document, list) else [document]
    elements = [each for one in envelopes for each in (one.get("settlements") or [])]
    if how == "no_list":
        for period in (each for each in elements if "closingItems" in each):
            del period["closingItems"]
            return dumps(document)
    lists = [one.get("sales") for one in envelopes]
    lists += [each.get("closingItems") for each in elements]
    for items in filter(None, lists):
        items[0] = _changed(items[0], how)
        return dumps(document)
    return body


def _changed(item: dict[str, Any], how: Odd) -> dict[str, Any] | None:
    amounts = item.get("saleGrossValue", item)
    name = next(each for each in _AMOUNTS if each in amounts)
    match how:
        case "decimals":
            amounts[name] = Decimal("-4.317")
        case "no_amount":
            del amounts[name]
        case "text":
            amounts[name] = str(amounts[name])
        case "null":
            return None
        case "no_id":
            item.pop("id", None)
        case "timed_days":
            for day in item.keys() & _DAYS:
                item[day] = f"{item[day]}T03:00:00Z"
        case "no_list":  # a sale is in no period
            pass
    return item
