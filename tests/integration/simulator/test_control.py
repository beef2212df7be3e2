import signal
import subprocess
import sys

import httpx
import pytest
from integration.simulator.asking import CENTRAL, SETTINGS, TODAY, WEEK, get, store
from support.clock import PATIENCE_SECONDS

from ifood_simulator import Settings, serve
from ifood_simulator.errors import UsageError


def test_the_journal_holds_no_token_and_no_secret(simulator, client):
    token = client.headers["Authorization"].removeprefix("Bearer ")
    merchant = store(simulator)
    get(client, merchant, "sales", **WEEK, access_token=token)

    text = client.get("/_simulator/journal", params={"since": 0}).text

    assert token not in text
    assert CENTRAL.client_secret not in text
    last = client.get("/_simulator/journal").json()[-1]
    assert (last["merchant"], last["group"], last["method"]) == (merchant.id, "financial", "GET")
    assert "beginSalesDate=2026-09-14" in last["query"]


def test_every_control_has_an_endpoint(simulator, client):
    merchant = store(simulator)
    control = "/_simulator"
    fault = {"quirk": "status", "status": 503, "merchant": merchant.id, "times": 1}
    span = {"begin": "2026-09-14", "end": "2026-09-20"}

    assert client.post(f"{control}/today", json={"today": "2026-09-25"}).json()["today"] == (
        "2026-09-25"
    )
    assert client.post(f"{control}/quirks", json=fault).json()["quirks"][0]["used"] == 0
    assert get(client, merchant, "sales", **WEEK).status_code == 503
    assert client.delete(f"{control}/quirks").json()["quirks"] == []
    limits = client.post(f"{control}/limits", json={"financial": 7}).json()["limits"]
    assert limits == {"financial": 7, "merchant": 1000, "oauth": 20}
    assert client.get(f"{control}/stats").json()["tokens_issued"] == {CENTRAL.client_id: 1}
    rows = client.get(f"{control}/truth/sales", params=span | {"merchant": merchant.id}).json()
    lines = client.get(f"{control}/truth-summary/sales", params=span).json()
    (line,) = [line for line in lines if line["merchant"] == merchant.id]
    assert line["rows"] == len(rows)
    assert client.get(f"{control}/accounts.csv").text == simulator.accounts_csv()
    assert len(client.get(f"{control}/merchants").json()) == SETTINGS.merchants
    assert client.post(f"{control}/reset").json()["today"] == str(TODAY)
    assert get(client, merchant, "sales", **WEEK).status_code == 401, "no token survives a reset"


@pytest.mark.parametrize(
    ("method", "path", "document"),
    [
        ("POST", "quirks", {"quirk": "nonsense"}),
        ("POST", "today", {}),
        ("POST", "today", {"today": "yesterday"}),
        ("POST", "limits", {"orders": 1}),
        ("POST", "authorize", {"userCode": "XXXX-XXXX"}),
        ("GET", "truth/sales?begin=2026-09-14&end=2026-09-20&merchant=nobody", None),
        ("GET", "truth/orders?begin=2026-09-14&end=2026-09-20&merchant=nobody", None),
        ("GET", "truth-summary/sales", None),
    ],
)
def test_a_wrong_control_is_refused_with_a_reason(client, method, path, document):
    answer = client.request(method, f"/_simulator/{path}", json=document)

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_unknown_paths_and_merchants_are_404(client):
    unknown = "/financial/v3.0/merchants/00000000-0000-4000-8000-000000000000/sales"

    assert client.get("/financial/v2.0/anything").status_code == 404
    assert client.get(unknown, params=WEEK).status_code == 404


def test_one_store_has_details(simulator, client):
    merchant = store(simulator)

    details = client.get(f"/merchant/v1.0/merchants/{merchant.id}").json()

    assert (details["id"], details["name"]) == (merchant.id, merchant.name)


def test_merchants_come_in_pages(client):
    sizes = [
        len(client.get("/merchant/v1.0/merchants", params={"page": n, "size": 50}).json())
        for n in (1, 2, 3)
    ]

    assert sizes[0] == 50
    assert 0 < sizes[1] < 50
    assert sizes[2] == 0


SERVE = (
    "from ifood_simulator import Settings, serve;"
    "serve(Settings(merchants=1), port=0, ready=lambda url: print(url, flush=True))"
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_cleanly(number):
    with subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        url = one.stdout.readline().strip()
        assert httpx.get(f"{url}/_simulator/state", timeout=PATIENCE_SECONDS).status_code == 200

        one.send_signal(number)

        assert one.wait(PATIENCE_SECONDS) == 0


def test_an_address_in_use_is_a_clear_error(simulator):
    port = int(simulator.url.rpartition(":")[2])

    with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}"):
        serve(Settings(), port=port)
