"""
What iFood's answers look like, as far as money is read from them.

Required is only what every source agrees on; unknown fields and unknown words of an enumeration
pass. Whatever else is wrong raises SchemaBroken, whose text names the place and never the value:
an answer holds personal data. What a value may be, `exact.py` says; the sources are in
docs/ifood-api.md, sections 3 to 6.
"""

from datetime import UTC, date, tzinfo
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from ifood_actors.errors import SchemaBroken
from ifood_actors.ifood.http.exact import (
    ZONE,
    Count,
    Day,
    DayHint,
    Instant,
    Key,
    Maybe,
    Money,
    Rate,
    Text,
    TextHint,
)
from ifood_actors.ifood.http.item_bounds import MOST_ITEMS, refuse_unreadable

# An item as it came: JSON, with exact decimals.
Raw = dict[str, Any]
Items = Annotated[list[Any], Field(max_length=MOST_ITEMS)]


class IfoodModel(BaseModel):
    """Fields are named like the API's, in snake_case; what is not named stays in the raw item."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        # Tracebacks are logged, and a refused value may be somebody's bank account.
        hide_input_in_errors=True,
    )


class SettlementTitle(IfoodModel):
    """One bank title; `amount` is signed, in BRL (docs/ifood-api.md, section 4)."""

    # Some titles come without one.
    title_id: Key | None = Field(None, alias="id")
    type: Key
    product: Text | None = None
    amount: Money
    status: Text | None = None
    transaction_id: Text | None = None
    payment_date: Maybe[Day] = None


class Anticipation(IfoodModel):
    """A payout brought forward for a fee; it has no id (docs/ifood-api.md, section 5)."""

    type: Key
    original_payment_amount: Money
    fee_percentage: Maybe[Rate] = None
    fee_amount: Maybe[Money] = None
    anticipated_payment_amount: Money
    status: Text | None = None
    original_payment_date: Maybe[Day] = None
    anticipated_payment_date: Maybe[Day] = None


class Merchant(IfoodModel):
    # No column: every record has the id that was asked for.
    id: TextHint = Field(None, exclude=True)
    short_id: Text | None = None
    name: Text | None = None
    type: Text | None = None
    timezone: Text | None = None


class SaleGrossValue(IfoodModel):
    bag: Money
    delivery_fee: Maybe[Money] = None
    service_fee: Maybe[Money] = None


class Benefits(IfoodModel):
    total_value: Maybe[Money] = None


class InformationProvider(IfoodModel):
    name: Text | None = None


class DeliveryParameters(IfoodModel):
    logistic_provider: Text | None = None
    delivery_product: Text | None = None
    code: Text | None = None
    scheduling_type: Text | None = None


class DeliveryPrices(IfoodModel):
    gross_value: Maybe[Money] = None
    discount: Maybe[Money] = None
    net_value: Maybe[Money] = None


class Delivery(IfoodModel):
    type: Text | None = None
    information_provider: Maybe[InformationProvider] = None
    delivery_parameters: Maybe[DeliveryParameters] = None
    prices: Maybe[DeliveryPrices] = None


class BillingSummary(IfoodModel):
    sale_balance: Maybe[Money] = None


class SaleHead(IfoodModel):
    """Whose sale it is, and when it was made."""

    created_at: Instant
    merchant: Maybe[Merchant] = None


class Sale(SaleHead):
    """
    One order, as at the moment of the call (docs/ifood-api.md, section 3).

    Its lists (payments, benefits, billing entries, status history, events) stay in the raw item:
    each may have several members, and a column for the first would hide the others.
    """

    sale_id: Key = Field(alias="id", min_length=1)
    short_id: Text | None = None
    type: Text | None = None
    category: Text | None = None
    sales_channel: Text | None = None
    current_status: Text | None = None
    sale_gross_value: Maybe[SaleGrossValue] = None
    benefits: Maybe[Benefits] = None
    delivery: Maybe[Delivery] = None
    # One copy of iFood's guide has lost an "m".
    billing_summary: Maybe[BillingSummary] = Field(
        None, validation_alias=AliasChoices("billingSummary", "billingSumary")
    )


class SalesPage(IfoodModel):
    """
    One page of sales.

    `total` and `size` are wrong at times (docs/ifood-api.md, section 3): the one is compared
    between pages only, the other is not read.
    """

    begin_sales_date: DayHint = None
    end_sales_date: DayHint = None
    page_count: Maybe[Count] = None
    total: Any = None
    sales: Items | None

    @property
    def announces_sales(self) -> bool:
        """Whether it counts sales; one page alone may be the empty one."""
        total = str(self.total)
        return (total.isdecimal() and bool(total.strip("0"))) or (self.page_count or 0) > 1


class CalculationPeriod(IfoodModel):
    """Titles or anticipations of one calculation period."""

    start_date_calculation: Maybe[Day] = None
    end_date_calculation: Maybe[Day] = None
    closing_items: Maybe[list[Any]] = None


class CalculationEnvelope(IfoodModel):
    """Settlements or anticipations; `balance` is 0 at times (docs/ifood-api.md, section 4)."""

    merchant_id: TextHint = None
    settlements: Items | None


class CalculationItems(NamedTuple):
    """The items of a calculation period as they came, or a loose one, whose dates are None."""

    start: date | None
    end: date | None
    items: list[Any]


Model = TypeVar("Model", bound=IfoodModel)


def parse(model: type[Model], value: object, *, zone: tzinfo = UTC) -> Model:
    """Read `value` as a `model`; a day with a time is one in `zone`. Raises SchemaBroken."""
    try:
        return model.model_validate(value, context={ZONE: zone})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "answer"
        raise SchemaBroken(f"{model.__name__}: {place}: {first['msg']}") from error


def parse_item(model: type[Model], value: object, *, zone: tzinfo = UTC) -> Model:
    """Do as `parse` for what is stored whole: no reader of it may meet what it cannot read."""
    refuse_unreadable(value)
    return parse(model, value, zone=zone)


def envelopes(answer: object) -> list[object]:
    """
    Unwrap an answer: nothing, one envelope, or a list of them.

    The guides have the one, the Swagger has the other (docs/ifood-api.md, section 2).
    """
    if answer is None:
        return []
    return answer if isinstance(answer, list) else [answer]


def calculation_items(element: object, *, zone: tzinfo = UTC) -> CalculationItems:
    """
    Read one element of settlements or anticipations, which is a period or a loose item.

    A reader of one of the two shapes loses money lines (docs/ifood-api.md, section 4). Raises
    SchemaBroken.
    """
    period = parse(CalculationPeriod, element, zone=zone)
    days = period.start_date_calculation, period.end_date_calculation
    if period.closing_items is not None:
        return CalculationItems(*days, period.closing_items)
    # A program that writes every field gives a loose title a null list, and one that writes no
    # null gives a period in which nothing has closed yet no list at all.
    fields = element if isinstance(element, dict) else {}
    if _OF_AN_ITEM.isdisjoint(name for name, value in fields.items() if value is not None) and (
        any(days) or "closingItems" in fields
    ):
        return CalculationItems(*days, [])
    return CalculationItems(None, None, [element])


_OF_AN_ITEM = {
    field.alias
    for model in (SettlementTitle, Anticipation)
    for field in model.model_fields.values()
    if field.is_required()
}
