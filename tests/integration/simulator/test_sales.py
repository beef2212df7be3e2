import pytest
from integration.simulator.asking import (
    CALCULATION,
    SETTINGS,
    WEEK,
    envelope,
    error_text,
    get,
    pages,
    store,
    truth,
)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({}, "Missing required parameter"),
        ({"beginDate": "2026-09-14", "endDate": "2026-09-20"}, "Missing required parameter"),
        ({"beginSalesDate": "2026-09-14"}, "Missing required parameter"),
        (WEEK | {"endSalesDate": "20260920"}, "Invalid date, use yyyy-MM-dd"),
        (WEEK | {"endSalesDate": "2026-09-22"}, "The period must not exceed 8 days"),
        (WEEK | {"page": "0"}, "Invalid page. pageCount = "),
        (WEEK | {"page": "99"}, "Invalid page. pageCount = "),
        (WEEK | {"page": "x"}, "Invalid page"),
    ],
)
def test_sales_refuse(simulator, client, query, text):
    answer = get(client, store(simulator), "sales", **query)

    assert answer.status_code == 400
    assert error_text(answer).startswith(text)


def test_eight_days_of_sales_are_accepted(simulator, client):
    query = WEEK | {"endSalesDate": "2026-09-21"}

    assert get(client, store(simulator), "sales", **query).status_code == 200


@pytest.mark.parametrize("trait", ["array_envelope", "size_is_rows", "total_off", "old_spelling"])
@pytest.mark.parametrize("value", [True, False])
def test_all_pages_together_are_the_truth(simulator, client, trait, value):
    merchant = store(simulator, **{trait: value})

    rows = [sale for page in pages(client, merchant) for sale in page["sales"]]

    assert {sale["id"]: sale for sale in rows} == {
        row["item"]["id"]: row["item"] for row in truth(simulator, "sales", merchant)
    }


def test_a_row_comes_twice_when_the_list_moves_between_pages(simulator, client):
    merchant = store(simulator, repeats_row=True)

    first, second = pages(client, merchant)[:2]

    assert first["sales"][-1] == second["sales"][0]


def test_size_and_total_are_not_to_be_trusted(simulator, client):
    rows = pages(client, store(simulator, size_is_rows=True))[-1]
    fixed = pages(client, store(simulator, size_is_rows=False))[-1]
    off = pages(client, store(simulator, total_off=True))[0]

    assert rows["size"] == len(rows["sales"])
    assert fixed["size"] == SETTINGS.sales_page_size
    merchant = store(simulator, total_off=True)
    assert off["total"] == len(truth(simulator, "sales", merchant)) + 1


@pytest.mark.parametrize(
    ("face", "status"), [("404", 404), ("204", 204), ("list", 200), ("null", 200)]
)
def test_nothing_has_four_faces(simulator, client, face, status):
    merchant = store(simulator, empty=face)
    future = {"beginSalesDate": "2027-01-01", "endSalesDate": "2027-01-02"}

    answer = get(client, merchant, "sales", **future)

    assert answer.status_code == status
    if status == 200:
        assert envelope(answer)["sales"] == ([] if face == "list" else None)
    if status == 404:
        assert error_text(answer) == "No sales found between 2027-01-01 and 2027-01-02"


def test_homologation_answers_with_its_own_data(simulator, client):
    merchant = store(simulator)
    client.headers["x-request-homologation"] = "true"

    page = envelope(get(client, merchant, "sales", **WEEK | {"beginSalesDate": "2026-01-01"}))
    closings = envelope(get(client, merchant, "settlements", **CALCULATION))

    assert page["total"] == 2
    assert [sale["createdAt"][:10] for sale in page["sales"]] == ["2025-08-01"]
    assert page["sales"][0]["merchant"]["id"] != merchant.id
    assert closings["settlements"] == []
