"""What settlements and anticipations share: items that belong to calculation periods."""

from collections.abc import Iterator
from typing import Literal

from ifood_actors.feeds.exact_json import canonical
from ifood_actors.feeds.records import Row, columns_of
from ifood_actors.ifood.client import MerchantApi
from ifood_actors.ifood.schemas import ClosingItem, IfoodModel, closing_items, parse
from ifood_actors.planning.cadence import Period


def closing_rows(
    api: MerchantApi,
    resource: Literal["settlements", "anticipations"],
    *,
    block: Period,
    model: type[IfoodModel],
) -> Iterator[Row]:
    """
    Ask for one block by calculation date and give a row for each item, loose or in a period.

    The order depends on the items alone, so that equal ones are counted alike in every pull.
    Raises SchemaBroken, and what the client raises.
    """
    answer = api.get(
        resource,
        {
            "beginCalculationDate": block.start.isoformat(),
            "endCalculationDate": block.end.isoformat(),
        },
    )
    for item in sorted(closing_items(answer), key=lambda item: canonical(item.raw)):
        yield columns_of(parse(model, item.raw)) | _days(item, block) | {"raw": item.raw}


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
