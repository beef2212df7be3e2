"""The Merchant endpoints: which stores a token opens, and one of them."""

from ifood_simulator import answers
from ifood_simulator.answers import Answer, Refusal, bad_request
from ifood_simulator.gate import Call
from ifood_simulator.merchants import Merchant
from ifood_simulator.parameters import whole_number
from ifood_simulator.sales import money
from ifood_simulator.world import dumps

_LARGEST_PAGE = 200


def listing(call: Call) -> Answer:
    """A bare array, pages from 1; a store that took its permission back is not in it."""
    if call.grant is None or "merchant" not in call.grant.app.modules:
        raise Refusal(answers.NOT_YOUR_MODULE)
    if call.fault is not None and call.suffers("silent_empty"):
        missing = answers.error(404, "404", "No merchants found")
        return answers.nothing(call.fault.face, missing=missing, listed=b"[]", unlisted=b"null")
    query = call.request.query_params
    page, size = whole_number("page", query, 1), whole_number("size", query, 100)
    if page < 1 or not 1 <= size <= _LARGEST_PAGE:
        raise Refusal(bad_request("Invalid page or size"))
    grant, simulation = call.grant, call.simulation
    stores = [
        store
        for store in simulation.world.roster.of(grant.app)
        if call.opens(store) and not simulation.revoked(store)
    ]
    part = stores[(page - 1) * size : page * size]
    return Answer(200, dumps([_summary(store) for store in part]))


def details(call: Call) -> Answer:
    store = call.merchant()
    document = {
        **_summary(store),
        "description": None,
        "averageTicket": money(4_500),
        "exclusive": False,
        "type": "RESTAURANT",
        "status": "AVAILABLE",
        "address": {"country": "BR", "state": "SP", "city": "São Paulo", "district": "Centro"},
        "operations": [{"name": "DELIVERY", "salesChannel": "IFOOD"}],
    }
    return Answer(200, dumps(document))


def _summary(store: Merchant) -> dict[str, object]:
    return {"id": store.id, "name": store.name, "corporateName": store.corporate_name}
