"""
A sale as the API shows it on a given day.

Fields and vocabulary follow iFood's Financial v3.0 Swagger; the odd ones (unknown values, extra
fields, null and absent parts) follow what clients met in production.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal

from ifood_simulator.merchants import Merchant
from ifood_simulator.orders import Order

Json = dict[str, object]

_COMMISSION, _CARD_FEE = 12, 32
"""Percent of the bag; per mille of what was paid online."""
_METHODS = ("PIX", "CREDIT", "DEBIT", "CASH", "MEAL_VOUCHER", "DIGITAL_WALLET", "VALE_PRESENTE")
_BRANDS = ("VISA", "MASTERCARD", "ELO")
_CHANNELS = ("IFOOD", "IFOOD", "IFOOD", "DIGITAL_CATALOG", "POS", "TOTEM")
_FRESH = ("PLACED", "CONFIRMED", "DISPATCHED", "CONCLUDED")


def money(cents: int) -> Decimal:
    """Centavos as a number with two places, which JSON keeps."""
    return Decimal(cents).scaleb(-2)


def sale(order: Order, merchant: Merchant, *, today: date) -> Json:
    """The order as one element of `sales`, complete as of the end of `today`."""
    age = (today - order.day).days
    billing = _billing(order, today) if age > 0 else None
    payments = "payments" if merchant.old_spelling else "methods"
    item: Json = {
        "id": order.id,
        "shortId": _short_id(order, merchant),
        "createdAt": _instant(order.at),
        "type": "ORDER",
        "category": ("FOOD", "GROCERY", "FOOD", "PET")[order.noise % 4],
        "salesChannel": _CHANNELS[order.noise % len(_CHANNELS)],
        "currentStatus": _status(order, age),
        "merchant": _merchant(merchant),
        "saleGrossValue": _gross(order),
        "benefits": _benefits(order),
        "delivery": _delivery(order),
        "payments": {payments: _payments(order)},
        "orderStatusHistory": _history(order, age),
        "billingSumary" if merchant.old_spelling else "billingSummary": billing,
        "orderEvents": _events(order, today),
    }
    if order.noise % 11 == 0:
        item["loyaltyProgram"] = {"points": order.noise % 97, "tier": None}
    return item


def _paid(order: Order) -> int:
    total = order.bag + order.delivery_fee + order.service_fee
    return max(0, total - order.paid_by_ifood - order.paid_by_store)


def _short_id(order: Order, merchant: Merchant) -> str | int | None:
    if order.noise % 53 == 0:
        return None
    short = 1000 + order.noise % 8999
    return f"{short:04d}" if merchant.text_short_id else short


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _status(order: Order, age: int) -> str:
    if age == 0:
        return _FRESH[order.noise % len(_FRESH)]
    if order.cancelled:
        return "CANCELLED"
    return "CONCLUDED"


def _merchant(merchant: Merchant) -> Json:
    documents = [{"type": "CNPJ", "value": merchant.document}]
    return {
        "id": merchant.id,
        "shortId": merchant.short_id,
        "name": merchant.name,
        "type": "RESTAURANT",
        "timezone": merchant.timezone,
        "document" if merchant.old_spelling else "documents": documents,
    }


def _gross(order: Order) -> Json:
    gross: Json = {"bag": money(order.bag)}
    if order.delivery_fee:
        gross["deliveryFee"] = money(order.delivery_fee)
    if order.service_fee or order.noise % 2:
        gross["serviceFee"] = money(order.service_fee) if order.service_fee else None
    return gross


def _benefits(order: Order) -> Json | None:
    total = order.paid_by_ifood + order.paid_by_store
    if not total:
        return None
    shares = (("IFOOD", order.paid_by_ifood), ("MERCHANT", order.paid_by_store))
    if order.noise % 3 == 0:
        benefits = [_benefit("CART", ((who, cents),)) for who, cents in shares if cents]
    else:
        benefits = [_benefit("CART", tuple(s for s in shares if s[1]))]
    return {"totalValue": money(total), "benefits": benefits}


def _benefit(target: str, shares: tuple[tuple[str, int], ...]) -> Json:
    return {
        "target": target,
        "value": money(sum(cents for _, cents in shares)),
        "sponsorships": [{"name": who, "value": money(cents)} for who, cents in shares],
    }


def _delivery(order: Order) -> Json | None:
    if order.noise % 41 == 0:
        return None
    taken_out = order.delivery_fee == 0
    return {
        "type": "TAKEOUT" if taken_out else "DELIVERY",
        "informationProvider": {"name": "IFOOD"},
        "deliveryParameters": None
        if taken_out
        else {
            "logisticProvider": "IFOOD",
            "deliveryProduct": "EXPRESS",
            "code": "SIMULATED",
            "schedulingType": "IMMEDIATE",
        },
        "prices": {
            "grossValue": money(order.delivery_fee),
            "discount": money(0),
            "netValue": money(order.delivery_fee),
        },
    }


def _payments(order: Order) -> list[Json]:
    total = _paid(order)
    first = total // 2 if order.noise % 13 == 0 else 0
    parts = [cents for cents in (first, total - first) if cents] or [0]
    return [_payment(order.noise + turn, cents) for turn, cents in enumerate(parts)]


def _payment(noise: int, cents: int) -> Json:
    method = _METHODS[noise % len(_METHODS)]
    online = method != "CASH"
    payment: Json = {
        "method": method,
        "currency": "BRL",
        "type": "ONLINE" if online else "OFFLINE",
        "value": money(cents),
        "liability": ("IFOOD", "INTERNAL")[noise % 2] if online else "MERCHANT",
    }
    match method:
        case "CREDIT" | "DEBIT":
            payment["card"] = {"brand": _BRANDS[noise % len(_BRANDS)]}
        case "CASH":
            payment["cash"] = {"changeFor": money(cents + 1000) if noise % 2 else None}
        case "DIGITAL_WALLET":
            payment["wallet"] = {"name": "GOOGLE_PAY"}
        case _:
            pass
    return payment


def _history(order: Order, age: int) -> list[Json]:
    placed: Json = {"value": "PLACED", "createdAt": _instant(order.at), "metadata": None}
    if age == 0:
        return [placed]
    over: Json = {
        "value": _status(order, age),
        "createdAt": _instant(order.at + timedelta(minutes=50)),
        "metadata": {"cancelStage": "PRE_DELIVERY", "cancelOrigin": "CUSTOMER", "cancelCode": "817"}
        if order.cancelled
        else None,
    }
    return [placed, over]


def _entries(order: Order, today: date) -> list[tuple[str, int]]:
    paid = _paid(order)
    entries = [
        ("ORDER_PAYMENT", paid),
        ("IFOOD_SUBSIDY", order.paid_by_ifood),
        ("DELIVERY_FEE_IFOOD", -order.delivery_fee),
        ("SERVICE_FEE", -order.service_fee),
        ("ORDER_COMMISSION", -(order.bag * _COMMISSION // 100)),
        ("PAYMENT_TRANSACTION_FEE", -(paid * _CARD_FEE // 1000)),
    ]
    if order.cancelled:
        entries += [("ORDER_CANCELLATION", -sum(cents for _, cents in entries))]
    elif refund := order.refunded(today):
        entries += [("REFUND", -refund)]
    return [(name, cents) for name, cents in entries if cents]


def _billing(order: Order, today: date) -> Json:
    entries = _entries(order, today)
    return {
        "saleBalance": money(sum(cents for _, cents in entries)),
        "billingEntries": [{"name": name, "value": money(cents)} for name, cents in entries],
    }


def _events(order: Order, today: date) -> list[Json]:
    age = (today - order.day).days
    events = [_event(order, 1, "RECEIVED", "RC", at=order.at)]
    if age > 0:
        billed = order.at + timedelta(hours=8)
        events.append(_event(order, 2, "FINANCIAL_BILLED_ORDER_ENTRY", "FBOE", at=billed))
        events[-1]["metadata"] = {"entries": [_billed(order)]}
    if not order.cancelled and (refund := order.refunded(today)):
        given_back = order.at + timedelta(days=order.refund_after)
        events.append(_event(order, 3, "REFUND", "RF", at=given_back))
        events[-1]["metadata"] = {"amount": money(refund)}
    return events


def _event(order: Order, number: int, full_code: str, code: str, *, at: datetime) -> Json:
    return {
        "id": f"{order.id[:8]}-{number}",
        "fullCode": full_code,
        "code": code,
        "createdAt": _instant(at),
        "metadata": None,
    }


def _billed(order: Order) -> Json:
    monday = order.day - timedelta(days=order.day.weekday())
    first = _entries(order, order.day)
    return {
        "amount": money(sum(cents for _, cents in first)),
        "expectedPaymentDate": str(order.day + timedelta(days=30)),
        "period": {"beginDate": str(monday), "endDate": str(monday + timedelta(days=6))},
    }
