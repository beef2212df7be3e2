from datetime import timedelta

import pytest
from integration.simulator.asking import CALCULATION, CENTRAL, TODAY, envelope, get, store, truth


@pytest.mark.parametrize(
    ("resource", "other"),
    [("settlements", "PaymentDate"), ("anticipations", "AnticipatedPaymentDate")],
)
@pytest.mark.parametrize(
    "names",
    [
        (),
        ("beginDate", "endDate"),
        ("beginCalculationDate",),
        ("beginCalculationDate", "end{other}"),
        ("beginCalculationDate", "endCalculationDate", "begin{other}", "end{other}"),
    ],
)
def test_exactly_one_pair_of_dates_is_needed(simulator, client, resource, other, names):
    query = {name.format(other=other): "2026-09-20" for name in names}

    answer = get(client, store(simulator, plan="daily"), resource, **query)

    assert answer.status_code == 400
    details = answer.json()["error"]["details"]
    assert details[:2] == ["beginCalculationDate", "endCalculationDate"]
    assert details[2:] == [f"begin{other}", f"end{other}"]


@pytest.mark.parametrize("resource", ["settlements", "anticipations"])
def test_a_span_over_31_days_is_silently_empty(simulator, client, resource):
    merchant = store(simulator, plan="daily", empty="404")
    query = {"beginCalculationDate": "2026-08-20", "endCalculationDate": "2026-09-19"}

    allowed = envelope(get(client, merchant, resource, **query))
    silent = envelope(
        get(client, merchant, resource, **query | {"beginCalculationDate": "2026-08-19"})
    )

    assert allowed["settlements"]
    assert silent["settlements"] == []


def test_settlements_are_the_truth_with_loose_titles_beside_the_periods(simulator, client):
    loose = 0
    for merchant in [m for m in simulator.merchants() if m.app == CENTRAL and not m.revoked][:30]:
        listed = envelope(get(client, merchant, "settlements", **CALCULATION))["settlements"]
        flat = [
            (part["startDateCalculation"], item)
            for part in listed
            if "closingItems" in part
            for item in part["closingItems"]
        ] + [(None, part) for part in listed if "closingItems" not in part]
        expected = [
            (row["calculationStart"], row["item"])
            for row in truth(simulator, "settlements", merchant)
        ]
        assert sorted(map(str, flat)) == sorted(map(str, expected))
        loose += sum(start is None for start, _ in flat)

    assert loose > 0


def test_anticipations_are_the_truth_and_404_without_a_plan(simulator, client):
    merchant = store(simulator, plan="daily")

    document = envelope(get(client, merchant, "anticipations", **CALCULATION))

    items = [item for part in document["settlements"] for item in part["closingItems"]]
    assert items == [row["item"] for row in truth(simulator, "anticipations", merchant)]
    assert document["balance"] == sum(item["anticipatedPaymentAmount"] for item in items)
    without = store(simulator, plan=None)
    assert get(client, without, "anticipations", **CALCULATION).status_code == 404


def test_titles_can_be_asked_for_by_payment_date(simulator, client):
    merchant = store(simulator, paid_weekly=True, receivables="none")
    query = {"beginPaymentDate": "2026-09-23", "endPaymentDate": "2026-09-23"}

    document = envelope(get(client, merchant, "settlements", **query))

    dates = {
        item["paymentDate"]
        for part in document["settlements"]
        for item in part.get("closingItems", [part])
    }
    assert dates == {"2026-09-23"}


def test_a_later_today_pays_what_was_pending(simulator, client):
    merchant = store(simulator, plan="daily")
    query = {"beginCalculationDate": "2026-09-14", "endCalculationDate": "2026-09-21"}

    def statuses() -> set[str]:
        document = envelope(get(client, merchant, "anticipations", **query))
        return {item["status"] for part in document["settlements"] for item in part["closingItems"]}

    before = statuses()
    simulator.set_today(TODAY + timedelta(days=10))

    assert "PENDING" in before
    assert "PENDING" not in statuses()


@pytest.mark.parametrize(
    ("face", "status"), [("404", 404), ("204", 204), ("list", 200), ("null", 200)]
)
@pytest.mark.parametrize("resource", ["settlements", "anticipations"])
def test_a_week_to_come_has_no_titles_in_each_face_of_nothing(
    simulator, client, resource, face, status
):
    merchant = store(simulator, empty=face, plan="daily")
    query = {"beginCalculationDate": "2026-09-28", "endCalculationDate": "2026-10-04"}

    answer = get(client, merchant, resource, **query)

    assert answer.status_code == status
    if status == 200:
        assert envelope(answer)["settlements"] == {"list": [], "null": None}[face]


def test_homologation_fails_where_production_is_silent(simulator, client):
    client.headers["x-request-homologation"] = "true"
    query = {"beginCalculationDate": "2026-08-01", "endCalculationDate": "2026-09-20"}

    assert get(client, store(simulator), "settlements", **query).status_code == 500


def test_a_period_must_not_end_before_it_begins(simulator, client):
    query = {"beginCalculationDate": "2026-09-20", "endCalculationDate": "2026-09-14"}

    assert get(client, store(simulator), "settlements", **query).status_code == 400
