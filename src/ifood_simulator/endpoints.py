"""
Every endpoint of the simulated API, one entry each.

A new one is a file with its answer (and, for data that is pulled, its truth) and an entry here;
routes, faults, limits, the journal and the truth's kinds follow from it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol

from ifood_simulator import financial, merchant_api, oauth_api
from ifood_simulator.answers import Answer
from ifood_simulator.gate import Call
from ifood_simulator.merchants import Merchant
from ifood_simulator.settings import Group
from ifood_simulator.world import TrueRow, World

_FINANCIAL = "/financial/v3.0/merchants/{merchant_id}"
_MERCHANT = "/merchant/v1.0/merchants"
_OAUTH = "/authentication/v1.0/oauth"


class Truth(Protocol):
    """Tells what a merchant really has within a span of days, as of the end of `today`."""

    def __call__(
        self, world: World, merchant: Merchant, begin: date, end: date, *, today: date
    ) -> Iterable[TrueRow]: ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    One endpoint: where it is, what limits it, who answers.

    `path` may have `{merchant_id}`. `answer` may raise Refusal. A POST takes a form.
    """

    resource: str
    """What faults, the journal and the truth call it; several endpoints may share a name."""
    group: Group
    path: str
    answer: Callable[[Call], Answer]
    truth: Truth | None = None
    """None for what is not pulled and stored."""
    method: Literal["GET", "POST"] = "GET"


ENDPOINTS = (
    Endpoint(
        "sales", "financial", f"{_FINANCIAL}/sales", financial.sales, truth=financial.true_sales
    ),
    Endpoint(
        "settlements",
        "financial",
        f"{_FINANCIAL}/settlements",
        financial.settlements,
        truth=financial.true_settlements,
    ),
    Endpoint(
        "anticipations",
        "financial",
        f"{_FINANCIAL}/anticipations",
        financial.anticipations,
        truth=financial.true_anticipations,
    ),
    Endpoint("merchants", "merchant", _MERCHANT, merchant_api.listing),
    Endpoint("merchants", "merchant", f"{_MERCHANT}/{{merchant_id}}", merchant_api.details),
    Endpoint("token", "oauth", f"{_OAUTH}/token", oauth_api.token, method="POST"),
    Endpoint("userCode", "oauth", f"{_OAUTH}/userCode", oauth_api.user_code, method="POST"),
)
NOT_BUILT = tuple(
    f"{_FINANCIAL}/{path}"
    for path in ("financial-events", "reconciliation", "reconciliation/{rest:path}")
)
"""Paths that iFood has and this product does not ask for; they answer 501."""

RESOURCES = tuple(dict.fromkeys(endpoint.resource for endpoint in ENDPOINTS))
TRUTHS = {endpoint.resource: endpoint.truth for endpoint in ENDPOINTS if endpoint.truth}
