"""The simulator against docs/ifood-openapi.yaml: every answer is described there."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from hypothesis import settings
from integration.simulator.asking import (
    CALCULATION,
    CENTRAL,
    TODAY,
    WEEK,
    authorize,
    client_of,
    credentials,
    get,
)
from schemathesis import Case, GenerationMode, HookContext
from schemathesis.specs.openapi.checks import positive_data_acceptance, unsupported_method
from support.clock import PATIENCE_SECONDS

from ifood_simulator import App, Settings, Simulator, running
from ifood_simulator.merchants import merchant_id

DISTRIBUTED = App(
    name="distributed",
    client_id="dddddddd-dddd-4ddd-8ddd-dddddddddddd",
    client_secret="simulated-secret",
    kind="distributed",
)
STORES = 60
DESCRIPTION = Path(__file__).parents[3] / "docs" / "ifood-openapi.yaml"

schema = schemathesis.openapi.from_path(DESCRIPTION)
schema.config.generation.update(
    modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE], with_security_parameters=False
)


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    """No limit ends the asking early, and some stores have every trait."""
    world = Settings(
        merchants=STORES,
        apps=(CENTRAL, DISTRIBUTED),
        today=TODAY,
        financial_per_minute=100_000,
        merchant_per_minute=100_000,
        oauth_per_minute=100_000,
        no_plan_share=0.3,
        sales_page_size=5,
        revoked_share=0.1,
    )
    with running(world) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def token(server: Simulator) -> str:
    with client_of(server) as client:
        return str(authorize(client, credentials(CENTRAL))["accessToken"])


@schema.hook
def map_path_parameters(_context: HookContext, parameters: dict[str, Any]) -> dict[str, Any]:
    """Ask for stores that there are as well, not only for random ones."""
    with suppress(KeyError, ValueError, TypeError, AttributeError):
        parameters["merchantId"] = merchant_id(1, UUID(parameters["merchantId"]).int % (STORES + 5))
    return parameters


@schema.hook
def map_query(_context: HookContext, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """Ask for days on which something was sold; random ones lie in all centuries."""
    return query and {name: _near(value) for name, value in query.items()}


def _near(value: Any) -> Any:
    try:
        day = date.fromisoformat(value)
    except (ValueError, TypeError):
        return value
    return str(TODAY - timedelta(days=day.toordinal() % 20))


@schema.parametrize()
@settings(max_examples=60)
def test_every_answer_to_every_question_is_described(
    case: Case[Any], server: Simulator, token: str
):
    headers = {"Authorization": f"Bearer {token}"}
    response = case.call(base_url=server.url, headers=headers, timeout=PATIENCE_SECONDS)

    # No schema can say that a day comes after another, or that a code must be known; nor does
    # the gateway say 405.
    case.validate_response(response, excluded_checks=[positive_data_acceptance, unsupported_method])


@pytest.mark.parametrize(
    ("resource", "query"),
    [("sales", WEEK), ("settlements", CALCULATION), ("anticipations", CALCULATION)],
)
def test_every_store_answers_in_a_described_shape(server: Simulator, token: str, resource, query):
    described = schema[f"/financial/v3.0/merchants/{{merchantId}}/{resource}"]["GET"]
    statuses = set()
    with client_of(server) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        for merchant in server.merchants():
            answer = get(client, merchant, resource, **query)
            described.validate_response(answer)
            statuses.add(answer.status_code)

    assert {200, 403} <= statuses
