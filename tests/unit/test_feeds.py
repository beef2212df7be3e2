"""What holds for every feed."""

from decimal import Decimal
from typing import get_args

import pytest
from sqlalchemy import Date, Numeric
from sqlmodel import SQLModel

from ifood_actors.config import Settings
from ifood_actors.feeds import FEEDS, Record
from ifood_actors.feeds.anticipations import Anticipation
from ifood_actors.feeds.items import IfoodModel
from ifood_actors.feeds.sales import Sale
from ifood_actors.feeds.settlements import SettlementTitle
from ifood_actors.kinds import KINDS, Amount

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
    assert {name: feed.kind for name, feed in FEEDS.items()} == KINDS


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_a_kind_says_of_its_table_is_there(kind):
    columns = SQLModel.metadata.tables[kind.table].columns

    assert isinstance(columns[kind.day_column].type, Date)
    assert isinstance(columns[kind.amount.column].type, Numeric)
    assert kind.amount.only_type is None or "type" in columns


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_its_window_among_the_settings(kind):
    settings = Settings.model_validate({KINDS[kind].window_setting: "tue 01:00-02:00"})

    assert str(Settings().window_of(kind)) == KINDS[kind].window
    assert str(settings.window_of(kind)) == "tue 01:00-02:00"


def test_an_amount_is_the_sum_of_the_rows_that_count():
    rows = [{"type": "A", "amount": Decimal("1.10")}, {"type": "B", "amount": Decimal(7)}, {}]

    assert Amount("amount").of(rows) == Decimal("8.10")
    assert Amount("amount", only_type="A").of(rows) == Decimal("1.10")
    assert Amount("amount").of([]) == 0
