"""Talking to the simulated iFood, as a client that is far too simple would."""

from datetime import date
from typing import Any

import httpx
import simplejson
from support.clock import PATIENCE_SECONDS

from ifood_simulator import App, Settings, Simulator
from ifood_simulator.merchants import Merchant

TODAY = date(2026, 9, 22)
WEEK = {"beginSalesDate": "2026-09-14", "endSalesDate": "2026-09-20"}
CALCULATION = {"beginCalculationDate": "2026-08-24", "endCalculationDate": "2026-09-20"}
CENTRAL = App()
BOOKSHOP = App(name="bookshop", client_id="b" * 36, client_secret="s", kind="distributed")
MODULELESS = App(
    name="no-finance", client_id="c" * 36, client_secret="s", modules=frozenset({"merchant"})
)
SETTINGS = Settings(
    merchants=240,
    apps=(CENTRAL, BOOKSHOP, MODULELESS),
    today=TODAY,
    sales_page_size=10,
    revoked_share=0.05,
)


def client_of(simulator: Simulator) -> httpx.Client:
    return httpx.Client(base_url=simulator.url, timeout=PATIENCE_SECONDS)


def credentials(app: App, **fields: str) -> dict[str, str]:
    grant = {"grantType": "client_credentials"} | fields
    return {"clientId": app.client_id, "clientSecret": app.client_secret} | grant


def ask_token(client: httpx.Client, form: dict[str, str]) -> httpx.Response:
    return client.post("/authentication/v1.0/oauth/token", data=form)


def authorize(client: httpx.Client, form: dict[str, str]) -> dict[str, Any]:
    answer: dict[str, Any] = ask_token(client, form).raise_for_status().json()
    client.headers["Authorization"] = f"Bearer {answer['accessToken']}"
    return answer


def store(simulator: Simulator, **traits: object) -> Merchant:
    """A store of the centralised application that has all the traits, and sold more than a page."""
    wanted = {"app": CENTRAL, "revoked": False} | traits
    return next(
        merchant
        for merchant in simulator.merchants()
        if all(getattr(merchant, name) == value for name, value in wanted.items())
        and len(truth(simulator, "sales", merchant)) > SETTINGS.sales_page_size
    )


def truth(simulator: Simulator, kind: Any, merchant: Merchant) -> list[dict[str, Any]]:
    begin = date(2026, 9, 14) if kind == "sales" else date(2026, 8, 24)
    body = simulator.truth(kind, merchant.id, begin, date(2026, 9, 20))
    rows: list[dict[str, Any]] = simplejson.loads(body, use_decimal=True)
    return rows


def get(client: httpx.Client, merchant: Merchant, resource: str, **query: Any) -> httpx.Response:
    path = f"/financial/v3.0/merchants/{merchant.id}/{resource}"
    return client.get(path, params={name: str(value) for name, value in query.items()})


def envelope(answer: httpx.Response) -> dict[str, Any]:
    document = simplejson.loads(answer.raise_for_status().text, use_decimal=True)
    found: dict[str, Any] = document[0] if isinstance(document, list) else document
    return found


def pages(client: httpx.Client, merchant: Merchant) -> list[dict[str, Any]]:
    first = envelope(get(client, merchant, "sales", **WEEK))
    numbers = range(2, first["pageCount"] + 1)
    return [first, *(envelope(get(client, merchant, "sales", **WEEK, page=n)) for n in numbers)]


def error_text(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["message"])
