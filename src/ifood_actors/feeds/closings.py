"""What settlements and anticipations share: items that belong to calculation periods."""

from collections.abc import Iterator
from typing import Literal

from ifood_actors.feeds.blocks import read_blocks
from ifood_actors.feeds.exact_json import canonical
from ifood_actors.feeds.records import Row, columns_of
from ifood_actors.ifood.client import MerchantApi
from ifood_actors.ifood.schemas import ClosingItem, IfoodModel, closing_items, parse
from ifood_actors.planning.cadence import Period

# A settlement week stays whole, also in a block that was halved.
_SMALLEST_DAYS = 7


def closing_blocks(
    api: MerchantApi,
    resource: Literal["settlements", "anticipations"],
    period: Period,
    *,
    block_days: int,
    model: type[IfoodModel],
) -> Iterator[list[Row]]:
    """
    Ask by calculation date, block by block, and give a row for each item, loose or in a period.

    One of the two pairs of dates is asked for, never both, and never a span that is answered by
    silence (docs/ifood-api.md, section 2). Within a block the order depends on the items alone,
    so that equal ones are counted alike in every pull. Raises SchemaBroken, and what the client
    raises.
    """

    def read(block: Period) -> list[Row]:
        days = {
            "beginCalculationDate": block.start.isoformat(),
            "endCalculationDate": block.end.isoformat(),
        }
        items = sorted(closing_items(api.get(resource, days)), key=lambda item: canonical(item.raw))
        return [_row(item, block, model) for item in items]

    return read_blocks(read, period, largest=block_days, smallest=_SMALLEST_DAYS)


def _row(item: ClosingItem, block: Period, model: type[IfoodModel]) -> Row:
    return columns_of(parse(model, item.raw)) | _days(item, block) | {"raw": item.raw}


def _days(item: ClosingItem, block: Period) -> Row:
    start, end = item.calculation_start, item.calculation_end
    dated = start is not None and end is not None
    return {
        "calculation_start": start,
        "calculation_end": end,
        # A loose item may belong to any day of the block that brought it.
        "covered_from": start if dated else block.start,
        "covered_to": end if dated else block.end,
    }
