"""
Items out of iFood's answers: what all models share, and how an answer is unwrapped.

Each feed names its own fields. Required is only what every source agrees on; unknown fields and
unknown words of an enumeration pass. Any other fault raises SchemaBroken, whose text names
the place and never the value: an answer holds personal data. What a value may be, `field_types.py`
says; the sources are in docs/ifood-api.md, sections 3 to 6.
"""

from datetime import UTC, tzinfo
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from ifood_actors.errors import SchemaBroken
from ifood_actors.feeds.field_types import ZONE
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
        # Tracebacks are logged, and a refused value may be a bank account.
        hide_input_in_errors=True,
    )


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
