"""Faults, random faults, journal and the file of accounts."""

import csv

import pytest

from ifood_simulator.accounts_csv import accounts_csv
from ifood_simulator.answers import Answer
from ifood_simulator.faults import ActiveFaults, Fault
from ifood_simulator.journal import Journal
from ifood_simulator.links import Links
from ifood_simulator.merchants import Roster
from ifood_simulator.random_faults import RandomFaults
from ifood_simulator.reading import fault_from, fault_of, fault_rates_of, limits_of
from ifood_simulator.settings import ROUGH, App, FaultRates, Settings
from ifood_simulator.spoiling import instead, spoil


def taken(faults: ActiveFaults, *, merchant: str = "m", resource: str = "sales") -> list[str]:
    return [
        one.name for one in faults.take(merchants={merchant}, resource=resource, client_id="app")
    ]


def test_a_fault_is_used_up_after_its_times():
    faults = ActiveFaults()
    faults.add(Fault("cut", times=2))

    assert [taken(faults) for _ in range(3)] == [["cut"], ["cut"], []]


def test_a_fault_lets_the_first_requests_pass():
    faults = ActiveFaults()
    faults.add(Fault("cut", after=1, times=1))

    assert [taken(faults) for _ in range(3)] == [[], ["cut"], []]


@pytest.mark.parametrize(
    ("fault", "hits"),
    [
        (Fault("cut"), True),
        (Fault("cut", merchant="m"), True),
        (Fault("cut", merchant="other"), False),
        (Fault("cut", resource="sales"), True),
        (Fault("cut", resource="token"), False),
        (Fault("cut", client_id="app"), True),
        (Fault("cut", client_id="another"), False),
    ],
)
def test_a_fault_hits_only_what_it_names(fault, hits):
    faults = ActiveFaults()
    faults.add(fault)

    assert bool(taken(faults)) is hits


def test_slowness_meets_one_other_fault():
    faults = ActiveFaults()
    for name in ("slow", "nan", "truncated"):
        faults.add(fault_from({"quirk": name}))

    assert taken(faults) == ["slow", "nan"]


@pytest.mark.parametrize(
    ("fault", "revoked"),
    [
        (Fault("revoked", merchant="m"), True),
        (Fault("revoked", merchant="m", times=1), False),
        (Fault("revoked", merchant="other"), False),
        (Fault("status", merchant="m"), False),
    ],
)
def test_only_a_lasting_revocation_empties_the_truth(fault, revoked):
    faults = ActiveFaults()
    faults.add(fault)

    assert faults.revoked("m") is revoked


@pytest.mark.parametrize(
    "document",
    [
        {"quirk": "nonsense"},
        {"quirk": "status", "status": 99},
        {"quirk": "status", "status": 600},
        {"quirk": "cut", "resource": "orders"},
        {"quirk": "cut", "tymes": 1},
        {"quirk": "habit", "habits": {"plan": "daily"}},
        {},
    ],
)
def test_a_switch_that_does_not_exist_is_refused(document):
    with pytest.raises(ValueError, match=r"^(quirk|status|resource|tymes|habits)\b.*$"):
        fault_from(document)


@pytest.mark.parametrize(
    "document", [{"quirk": "drip", "bytes_per_second": 0}, {"quirk": "slow", "seconds": "inf"}]
)
def test_an_answer_that_would_never_end_is_refused(document):
    with pytest.raises(ValueError, match="a finite time"):
        fault_from(document)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("cut", Fault("cut")),
        ("cut,where=head,times=2,after=1", Fault("cut", where="head", times=2, after=1)),
        ("slow,merchant=m,resource=sales,seconds=0.5", Fault("slow", "m", "sales", seconds=0.5)),
        (
            "status,status=429,headers.Retry-After=5,body=html",
            Fault("status", status=429, headers={"Retry-After": "5"}, body="html"),
        ),
        ("nan,text=1.005", Fault("nan", text="1.005")),
        (
            "status,status=404,body=kong,message=name resolution failed",
            Fault("status", status=404, body="kong", message="name resolution failed"),
        ),
        ("silent_empty,face=bare_null", Fault("silent_empty", face="bare_null")),
        (
            "habit,habits.empty=204,habits.total_off=true",
            Fault("habit", habits={"empty": "204", "total_off": True}),
        ),
    ],
)
def test_a_fault_in_words(text, fault):
    assert fault_of(text) == fault


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "quirk: "),
        ("nonsense", "quirk: "),
        ("status,503", "expected name=value, not '503'"),
        ("status,=503", "expected name=value, not '=503'"),
        ("status,status=lots", "status: "),
        ("habit,habits.empty=205", "habits.empty: "),
        ("status,body=json,body.x=1", "body: "),
    ],
)
def test_a_fault_in_wrong_words_is_refused_in_one_line(text, complaint):
    with pytest.raises(ValueError, match=f"^{complaint}.*$") as refused:
        fault_of(text)

    assert "\n" not in str(refused.value)


def test_fault_rates_in_words():
    assert fault_rates_of("cut=0.5,slow=0.5,slow_seconds=9") == FaultRates(
        cut=0.5, slow=0.5, slow_seconds=9
    )


@pytest.mark.parametrize("text", ["", "cut", "cut=", "tut=0.1", "cut=-0.1", "cut=0.6,slow=0.6"])
def test_rates_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match=r"name=value|none of|number|between"):
        fault_rates_of(text)


def test_limits_in_words_change_what_they_name():
    assert limits_of(["financial=180", "oauth=none"]) == {
        "financial": 180,
        "merchant": 1000,
        "oauth": None,
    }


@pytest.mark.parametrize("word", ["financial", "orders=1", "oauth=0", "oauth=many"])
def test_a_limit_that_is_none_is_refused(word):
    with pytest.raises(ValueError, match=r"name=value|none of|greater|integer"):
        limits_of([word])


def test_a_linked_store_spreads_and_wants_a_new_token():
    links = Links(spread_seconds=600)
    assert links.opens("m", issued_at=0, at=0), "linked since ever"

    links.unlink("m")
    assert not links.opens("m", issued_at=0, at=1)
    links.link("m", at=100)

    assert not links.opens("m", issued_at=200, at=699)
    assert links.opens("m", issued_at=200, at=700)
    assert not links.opens("m", issued_at=99, at=700), "its token is too old"
    links.link("m", at=800)
    assert links.opens("m", issued_at=200, at=800), "to link it again changes nothing"


def test_nan_replaces_the_first_amount():
    answer = Answer(200, b'{"page":1,"sales":[{"bag":10.00},{"bag":2.00}]}')

    spoiled = spoil(Fault("nan", text="Infinity"), answer)

    assert spoiled.body == b'{"page":1,"sales":[{"bag":Infinity},{"bag":2.00}]}'


@pytest.mark.parametrize("body", ["json", "html", "waf", "kong", "text", "empty"])
def test_a_status_comes_with_the_body_and_headers_asked_for(body):
    answer = instead(Fault("status", status=418, body=body, headers={"Retry-After": "soon"}))

    assert answer is not None
    assert (answer.status, answer.headers) == (418, {"Retry-After": "soon"})
    assert bool(answer.body) == (body != "empty")


@pytest.mark.parametrize(
    ("fault", "note"),
    [
        (Fault("status", status=404, body="kong"), b'"no Route matched with those values"'),
        (Fault("status", status=503, body="kong"), b'"failure to get a peer from the ring-balanc'),
        (Fault("status", status=503, body="kong", message="name resolution failed"), b'"name res'),
        (Fault("status", status=403, body="waf"), b"<title>Attention Required! | Cloudflare</titl"),
        (Fault("status", status=403, body="text", message="denied"), b"denied"),
    ],
)
def test_a_gateway_says_what_it_is_told_to(fault, note):
    answer = instead(fault)

    assert answer is not None
    assert note in answer.body


def test_faults_are_the_same_in_every_run_and_near_their_rates():
    settings = Settings(faults=ROUGH)

    one, other = (
        [faults.draw("m", "sales") for _ in range(2_000)]
        for faults in (RandomFaults(settings), RandomFaults(settings))
    )

    assert one == other
    hits = [fault.name for _, fault in one if fault is not None]
    assert 80 < len(hits) < 160
    assert set(hits) == {"status", "cut", "slow"}


def test_latency_has_the_mean_of_the_settings():
    faults = RandomFaults(Settings(latency_seconds=0.2))

    waits = [faults.draw("m", "sales")[0] for _ in range(2_000)]

    assert 0.18 < sum(waits) / len(waits) < 0.22


def test_no_rates_no_faults():
    faults = RandomFaults(Settings(faults=FaultRates()))

    assert {faults.draw("m", "sales") for _ in range(100)} == {(0.0, None)}


def test_the_journal_keeps_dates_but_no_secret_of_a_query():
    journal = Journal()
    for query in ("page=2", "access_token=abc&beginSalesDate=2026-09-14"):
        journal.write(
            at=1.0,
            client_id="app",
            group="financial",
            merchant=None,
            method="GET",
            path="/x",
            query=query,
            status=200,
            trouble=None,
        )

    assert [entry["query"] for entry in journal.since(0)] == [
        "page=2",
        "access_token=%2A%2A%2A&beginSalesDate=2026-09-14",
    ]
    assert [entry["sequence"] for entry in journal.since(1)] == [2]


def test_the_accounts_file_keeps_awkward_names_whole():
    stores = list(Roster(Settings(merchants=40)))

    rows = list(csv.DictReader(accounts_csv(stores).splitlines()))

    assert [row["name"] for row in rows] == [store.name for store in stores]
    assert set(rows[0]) == {"name", "ifood_merchant_id", "timezone", "priority", "active", "app"}
    assert any(row["name"].startswith("=") for row in rows)
    assert any('"' in row["name"] for row in rows)
    assert any(";" in row["name"] for row in rows)


@pytest.mark.parametrize(
    "settings",
    [{"apps": ()}, {"apps": (App(client_id="short"),)}, {"merchants": 3, "apps": (App(owners=4),)}],
)
def test_settings_that_cannot_work_are_refused(settings):
    with pytest.raises(ValueError, match=r"application|36"):
        Settings(**settings)


def test_a_secret_is_not_shown_with_the_settings():
    assert "simulated-secret" not in repr(Settings())
