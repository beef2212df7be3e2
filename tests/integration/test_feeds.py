"""The feeds against a whole simulated iFood: what is stored is what it holds, to the cent."""

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import get_args
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest
import simplejson
from sqlalchemy import Engine, text

import ifood_simulator
from ifood_actors.db import transaction
from ifood_actors.feeds import FEEDS, Origin
from ifood_actors.feeds.exact_json import canonical
from ifood_actors.ifood.http import Access, ApiIdentity, IfoodClient
from ifood_actors.ifood.http.transport import http_client
from ifood_actors.kinds import closed_weeks, days_before
from ifood_actors.ledger import JobResult
from ifood_simulator import Fault
from ifood_simulator.merchants import EmptyFace, Merchant

pytestmark = pytest.mark.services

MONDAY = date(2026, 9, 21)
STORES = 40
PERIODS = {
    "settlements_weekly": closed_weeks(MONDAY, 8),
    "anticipations_daily": days_before(MONDAY, 30),
    "sales": days_before(MONDAY, 7),
}


@pytest.fixture(scope="module")
def ifood():
    # Small pages, so that most stores have several; no plan for some stores, so that 404 is met.
    settings = ifood_simulator.Settings(
        merchants=STORES,
        today=MONDAY,
        sales_page_size=7,
        financial_per_minute=None,
        oauth_per_minute=None,
    )
    with ifood_simulator.running(settings) as running:
        yield running


@pytest.fixture
def client(ifood):
    [app] = ifood.settings.apps
    form = {
        "grantType": "client_credentials",
        "clientId": app.client_id,
        "clientSecret": app.client_secret,
    }
    answer = httpx.post(f"{ifood.url}/authentication/v1.0/oauth/token", data=form, timeout=60)
    token = answer.json()["accessToken"]
    access = Access(
        token=lambda _app: token,
        invalidate=lambda *_: None,
        pace=lambda *_: None,
        sent=lambda *_: None,
        heed=lambda *_: None,
    )
    with http_client(threads=1) as http:
        yield IfoodClient(base_url=ifood.url, http=http, access=access)
    ifood.clear_faults()


def pull(engine: Engine, client: IfoodClient, kind: str, merchant: Merchant) -> JobResult:
    feed, period = FEEDS[kind], PERIODS[kind]
    api = client.merchant(ApiIdentity(uuid4()), merchant.id, on_progress=lambda: None)
    fetched = feed.fetch(api, period, timezone=ZoneInfo("America/Sao_Paulo"))
    with transaction(engine) as tx:
        return feed.store(
            tx,
            fetched,
            period=period,
            origin=Origin(
                account_id=uuid4(),
                merchant_id=merchant.id,
                job_id=uuid4(),
                job_day=period.end,
            ),
        )


@pytest.mark.parametrize(
    ("kind", "resource", "table"),
    [
        ("settlements_weekly", "settlements", "ifood_settlements"),
        ("anticipations_daily", "anticipations", "ifood_anticipations"),
        ("sales", "sales", "ifood_sales"),
    ],
)
def test_every_item_is_stored_once_and_again_changes_nothing(
    engine, client, ifood, kind, resource, table
):
    merchants = ifood.merchants()

    first = [pull(engine, client, kind, merchant) for merchant in merchants]
    again = [pull(engine, client, kind, merchant) for merchant in merchants]

    period = PERIODS[kind]
    truth = Counter(
        (merchant.id, canonical(row["item"]))
        for merchant in merchants
        for row in simplejson.loads(
            ifood.truth(resource, merchant.id, period.start, period.end), use_decimal=True
        )
    )
    with engine.connect() as connection:
        rows = connection.execute(text(f"SELECT merchant_id, raw::text AS raw FROM {table}"))
        stored = Counter(
            (row.merchant_id, canonical(simplejson.loads(row.raw, use_decimal=True)))
            for row in rows
        )
    assert stored == truth
    assert sum(pulled.new for pulled in first) == truth.total() > STORES
    assert all(pulled.unchanged == pulled.rows and not pulled.missing for pulled in again)


@pytest.mark.parametrize("face", get_args(EmptyFace))
@pytest.mark.parametrize("kind", PERIODS)
def test_nothing_is_a_success_without_rows_whatever_its_face(client, ifood, kind, face):
    ifood.add_fault(Fault("silent_empty", face=face))

    for merchant in ifood.merchants()[:4]:  # some in a list, some without a plan
        api = client.merchant(ApiIdentity(uuid4()), merchant.id, on_progress=lambda: None)
        fetched = FEEDS[kind].fetch(api, PERIODS[kind], timezone=ZoneInfo("America/Sao_Paulo"))

        assert (len(fetched.rows), fetched.amount, fetched.complete) == (0, Decimal(0), True)


@pytest.mark.parametrize("face", get_args(EmptyFace))
def test_an_application_without_stores_has_none_whatever_the_face(client, ifood, face):
    ifood.add_fault(Fault("silent_empty", resource="merchants", face=face))

    assert list(client.merchants(ApiIdentity(uuid4()))) == []


@pytest.mark.parametrize(
    ("kind", "resource", "column"),
    [
        ("anticipations_daily", "anticipations", "anticipated_payment_amount"),
        ("sales", "sales", "sale_gross_value_bag"),
    ],
)
def test_amounts_agree_to_the_cent(engine, client, ifood, kind, resource, column):
    pulled = [pull(engine, client, kind, merchant) for merchant in ifood.merchants()]

    period = PERIODS[kind]
    lines = ifood.truth_summary(resource, period.start, period.end)
    expected = sum(Decimal(str(line["amount"])) for line in lines)
    table = FEEDS[kind].table.__tablename__
    with engine.connect() as connection:
        stored = connection.execute(text(f"SELECT sum({column}) FROM {table}")).scalar_one()
    assert stored == expected == sum(result.amount for result in pulled)
