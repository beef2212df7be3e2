"""What settlements and anticipations share: items that belong to calculation periods."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, tzinfo
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from ifood_actors.errors import SchemaBroken
from ifood_actors.feeds.blocks import read_blocks
from ifood_actors.feeds.exact_json import canonical
from ifood_actors.feeds.field_types import Day, Maybe, TextHint
from ifood_actors.feeds.foreign import is_other_merchant, refuse_other_days
from ifood_actors.feeds.items import IfoodModel, Items, envelopes, parse, parse_item
from ifood_actors.feeds.records import Fetched, OddItem, Row, columns_of
from ifood_actors.feeds.rejected import odd_item
from ifood_actors.ifood.http import MerchantApi
from ifood_actors.ifood.http.item_bounds import MOST_ITEMS
from ifood_actors.kinds import Kind
from ifood_actors.spans import Period

# The fields that a settlement title or an anticipation must have, and a period has not.
FIELDS_OF_AN_ITEM: Final = {"type", "amount", "originalPaymentAmount", "anticipatedPaymentAmount"}
# A settlement week stays whole, also in a block that was halved.
_SMALLEST_DAYS = 7


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


@dataclass(slots=True)
class CalculationBlock:
    """What a block's items are, and which other merchants its envelopes were about."""

    rows: list[Row] = field(default_factory=list)
    rejected: list[OddItem] = field(default_factory=list)
    other_merchant_ids: list[str] = field(default_factory=list)


def read_calculation_blocks(
    api: MerchantApi,
    kind: Kind,
    period: Period,
    *,
    model: type[IfoodModel],
    timezone: ZoneInfo,
) -> list[CalculationBlock]:
    """
    Ask by calculation date, block by block, and give a row for each item, loose or in a period.

    One of the two pairs of dates is asked for, never both, and never a span that is answered by
    silence (docs/ifood-api.md, section 2). Within a block the order depends on the items alone,
    so that equal ones are counted in the same way in every pull. `timezone` counts for days
    that have a time. Raises Foreign, SchemaBroken, and what the client raises.
    """

    def read(block: Period) -> CalculationBlock:
        days = {
            "beginCalculationDate": block.start.isoformat(),
            "endCalculationDate": block.end.isoformat(),
        }
        found = CalculationBlock()
        for envelope in envelopes(api.get(kind.resource, days)):
            parsed = parse(CalculationEnvelope, envelope)
            if parsed.merchant_id and is_other_merchant(parsed.merchant_id, asked=api.merchant_id):
                found.other_merchant_ids.append(parsed.merchant_id)
            for element in parsed.settlements or []:
                _read_element(element, found, block=block, model=model, zone=timezone)
        found.rows.sort(key=lambda row: canonical(row["raw"]))
        return found

    return list(read_blocks(read, period, largest=kind.block_days, smallest=_SMALLEST_DAYS))


def fetched(kind: Kind, rows: Collection[Row], blocks: Sequence[CalculationBlock]) -> Fetched:
    """Put together the rows that a feed made of its blocks, and what else is in them."""
    # An item that two blocks bring is one.
    rejected = {item.key: item for block in blocks for item in block.rejected}
    others = {id_ for block in blocks for id_ in block.other_merchant_ids}
    return Fetched(
        tuple(rows),
        amount=kind.amount.of(rows),
        rejected=tuple(rejected.values()),
        other_merchant_ids=tuple(sorted(others)),
    )


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
    if FIELDS_OF_AN_ITEM.isdisjoint(
        name for name, value in fields.items() if value is not None
    ) and (any(days) or "closingItems" in fields):
        return CalculationItems(*days, [])
    return CalculationItems(None, None, [element])


def _read_element(
    element: object,
    found: CalculationBlock,
    *,
    block: Period,
    model: type[IfoodModel],
    zone: ZoneInfo,
) -> None:
    try:
        part = calculation_items(element, zone=zone)
    except SchemaBroken as fault:
        found.rejected.append(odd_item(element, fault, first=block.start, last=block.end))
        return
    refuse_other_days(part.start, part.end, asked=block)
    days = _days(part, block)
    if len(found.rows) + len(found.rejected) + len(part.items) > MOST_ITEMS:
        raise SchemaBroken(f"more than {MOST_ITEMS} items")
    for item in part.items:
        try:
            columns = columns_of(parse_item(model, item, zone=zone))
        except SchemaBroken as fault:
            # A period may reach out of the block; no pull asks for its other days again.
            first = max(days["covered_from"], block.start)
            last = min(days["covered_to"], block.end)
            found.rejected.append(odd_item(item, fault, first=first, last=last))
        else:
            found.rows.append(columns | days | {"raw": item})


def _days(part: CalculationItems, block: Period) -> Row:
    dated = part.start is not None and part.end is not None
    return {
        "calculation_start": part.start,
        "calculation_end": part.end,
        # A loose item may belong to any day of the block that brought it.
        "covered_from": part.start if dated else block.start,
        "covered_to": part.end if dated else block.end,
    }
