"""What the settlements feed asks, and which titles it makes of the answers."""

from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from support.api import ScriptedApi, a_title, a_week, closing

from ifood_actors.errors import Rejected, SchemaBroken, ServerFault
from ifood_actors.feeds import FEEDS, Fetched
from ifood_actors.spans import Period

EIGHT_WEEKS = Period(date(2026, 7, 27), date(2026, 9, 20))
LAST_FOUR_WEEKS = Period(date(2026, 8, 24), date(2026, 9, 20))
ON_THE_EDGE = {"start": "2026-08-20", "end": "2026-08-26"}  # of the two blocks of eight weeks


def pulled(*answers: object, period: Period = LAST_FOUR_WEEKS) -> Fetched:
    api = ScriptedApi(*answers)  # type: ignore[arg-type] # some tests answer nonsense
    return FEEDS["settlements_weekly"].fetch(api, period, timezone=ZoneInfo("America/Sao_Paulo"))


def ids(fetched: Fetched) -> list[str]:
    return sorted(row["title_id"] for row in fetched.rows)


def test_eight_weeks_are_asked_in_two_blocks_by_calculation_date():
    api = ScriptedApi()

    FEEDS["settlements_weekly"].fetch(api, EIGHT_WEEKS, timezone=ZoneInfo("UTC"))

    assert api.asked == [
        (
            "settlements",
            {"beginCalculationDate": "2026-07-27", "endCalculationDate": "2026-08-23"},
        ),
        (
            "settlements",
            {"beginCalculationDate": "2026-08-24", "endCalculationDate": "2026-09-20"},
        ),
    ]


def test_nothing_is_a_success_with_no_rows():
    assert pulled(None, {"settlements": []}, period=EIGHT_WEEKS) == Fetched((), Decimal(0))


def test_loose_titles_and_titles_of_a_week_are_both_kept():
    fetched = pulled(closing(a_week(a_title("1")), a_title("2", type="BOLETO", amount=-129)))

    days = {
        row["title_id"]: (row["calculation_start"], row["covered_from"], row["covered_to"])
        for row in fetched.rows
    }
    week = date(2026, 9, 14)
    assert days == {
        "1": (week, week, date(2026, 9, 20)),
        "2": (None, LAST_FOUR_WEEKS.start, LAST_FOUR_WEEKS.end),
    }


def test_a_title_of_two_blocks_is_one_and_the_later_answer_counts():
    fetched = pulled(
        closing(a_week(a_title("1", status="PENDING"), **ON_THE_EDGE)),
        closing(a_week(a_title("1", status="SUCCEED"), **ON_THE_EDGE)),
        period=EIGHT_WEEKS,
    )

    [row] = fetched.rows
    assert row["status"] == "SUCCEED"


@pytest.mark.parametrize("week_first", [True, False])
def test_a_title_with_its_week_counts_more_than_the_same_one_loose(week_first):
    answers = [closing(a_week(a_title(), **ON_THE_EDGE)), closing(a_title())]

    fetched = pulled(*(answers if week_first else reversed(answers)), period=EIGHT_WEEKS)

    assert [row["calculation_start"] for row in fetched.rows] == [date(2026, 8, 20)]


def test_a_title_loose_in_both_blocks_is_covered_by_both():
    [row] = pulled(closing(a_title()), closing(a_title()), period=EIGHT_WEEKS).rows

    assert (row["covered_from"], row["covered_to"]) == (EIGHT_WEEKS.start, EIGHT_WEEKS.end)


@pytest.mark.parametrize("no_id", [{}, {"id": None}, {"id": ""}])
def test_a_title_without_id_keeps_its_derived_one_when_it_is_paid(no_id):
    before = a_title(None, status="PENDING", accountDetails={}) | no_id
    after = before | {
        "status": "SUCCEED",
        "paymentDate": "2026-09-23",
        "transactionId": "88",
        "accountDetails": {"bankName": "Banco Exemplo"},
    }

    first, second = (pulled(closing(a_week(title))) for title in (before, after))

    assert ids(first) == ids(second)
    assert ids(first)[0].startswith("derived:")


@pytest.mark.parametrize(
    "other", [{"amount": 11}, {"type": "BOLETO"}, {"product": "OTHER"}, {"id": "8"}]
)
def test_titles_without_id_that_differ_in_substance_are_two(other):
    fetched = pulled(closing(a_week(a_title(None), a_title(None) | other)))

    assert len(set(ids(fetched))) == 2


def test_equal_titles_without_id_are_both_kept_and_known_again():
    titles = [a_title(None, status=status) for status in ("PENDING", "SUCCEED")]

    once = pulled(closing(a_week(*titles)))
    again = pulled(closing(a_week(*reversed(titles))))

    assert len(once.rows) == 2
    assert once == again


def test_equal_titles_without_id_in_two_blocks_are_the_same_two():
    answer = closing(a_week(a_title(None), a_title(None), **ON_THE_EDGE))

    assert len(pulled(answer, answer, period=EIGHT_WEEKS).rows) == 2


def test_two_money_lines_under_one_id_are_both_kept():
    payout = a_title("7", amount=100)
    record = a_title("7", type="REGISTRO_RECEBIVEIS", amount=900)

    answers = [closing(a_week(*titles, **ON_THE_EDGE)) for titles in ([payout, record], [payout])]

    fetched = pulled(*answers, period=EIGHT_WEEKS)

    amounts = {row["title_id"]: row["amount"] for row in fetched.rows}
    assert amounts == {"7": 100, "7:REGISTRO_RECEBIVEIS:900.00": 900}


def test_the_amount_is_that_of_the_payouts_alone():
    fetched = pulled(
        closing(
            a_week(
                a_title("1", amount=Decimal("3406.90")),
                a_title("2", amount=Decimal("5057.11"), type="REGISTRO_RECEBIVEIS"),
                a_title("3", amount=Decimal("3406.90"), type="SALDO POSITIVO"),
                a_title("4", amount=Decimal("0.10")),
            ),
            balance=0,
        )
    )

    assert fetched.amount == Decimal("3407.00")


def test_the_whole_item_is_kept():
    title = a_title(amount=Decimal("0.10"), originDetails={"unknown": [Decimal("1.50")]})

    [row] = pulled(closing(title)).rows

    assert row["raw"] == title
    assert str(row["raw"]["originDetails"]["unknown"][0]) == "1.50"


@pytest.mark.parametrize(
    "answer",
    [{}, "gateway", {"settlements": 7}, {"settlements": {}}, [[a_title()]]],
)
def test_a_broken_answer_is_never_taken_for_data(answer):
    with pytest.raises(SchemaBroken):
        pulled(answer)


@pytest.mark.parametrize("error", [ServerFault("503"), Rejected("400", status=400)])
def test_an_error_in_the_second_block_fails_the_pull(error):
    with pytest.raises(type(error)):
        pulled(closing(a_title()), error, period=EIGHT_WEEKS)
