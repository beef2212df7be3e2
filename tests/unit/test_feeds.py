"""What holds for every feed."""

from typing import get_args

import pytest
from sqlmodel import SQLModel

from ifood_actors.feeds import FEEDS, Record
from ifood_actors.feeds.anticipations import Anticipation
from ifood_actors.feeds.items import IfoodModel
from ifood_actors.feeds.sales import Sale
from ifood_actors.feeds.settlements import SettlementTitle

MODELS: dict[str, type[IfoodModel]] = {
    "settlements_weekly": SettlementTitle,
    "anticipations_daily": Anticipation,
    "sales": Sale,
}
# Columns that a feed works out, beside those that it reads.
DERIVED = {
    "settlements_weekly": {"calculation_start", "calculation_end"},
    "anticipations_daily": {"calculation_start", "calculation_end", "ordinal"},
    "sales": {"sale_day"},
}


def names_of(model: type[IfoodModel], prefix: str = "") -> set[str]:
    names: set[str] = set()
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        nested = next(iter(get_args(field.annotation)), None)
        if isinstance(nested, type) and issubclass(nested, IfoodModel):
            names |= names_of(nested, f"{prefix}{name}_")
        else:
            names.add(prefix + name)
    return names


@pytest.mark.parametrize("kind", FEEDS)
def test_every_field_that_is_read_has_its_column(kind):
    table = SQLModel.metadata.tables[str(FEEDS[kind].table.__tablename__)]

    columns = set(table.columns.keys()) - set(Record.model_fields)

    assert columns == names_of(MODELS[kind]) | DERIVED[kind]


def test_a_feed_is_found_by_its_kind():
    assert [feed.kind.name for feed in FEEDS.values()] == list(FEEDS)
