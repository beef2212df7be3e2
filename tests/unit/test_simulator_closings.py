from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ifood_simulator.entries import Entry
from ifood_simulator.merchants import Merchant
from ifood_simulator.settings import Settings
from ifood_simulator.world import World

TODAY = date(2026, 9, 22)
WEEK = (date(2026, 9, 14), date(2026, 9, 20))
MONTH = (date(2026, 8, 24), date(2026, 9, 20))
WORLD = World(Settings(merchants=60, sales_per_day=2))


def with_trait(**traits: object) -> Merchant:
    return next(
        merchant
        for merchant in WORLD.roster
        if all(getattr(merchant, name) == value for name, value in traits.items())
    )


def titles(merchant: Merchant, *, today: date) -> list[Entry]:
    return WORLD.settlements(merchant, *MONTH, today=today)


def keyed(entries: list[Entry]) -> dict[tuple[date, object, int], Entry]:
    return {(entry.reference, entry.item["type"], entry.cents): entry for entry in entries}


def test_a_week_has_no_titles_before_it_is_closed():
    merchant = with_trait(paid_weekly=True)

    assert WORLD.settlements(merchant, *WEEK, today=WEEK[1]) == []
    assert any(WORLD.settlements(m, *WEEK, today=date(2026, 9, 21)) for m in WORLD.roster)


def test_a_title_keeps_id_and_amount_while_its_status_moves_to_succeed():
    moved = 0
    for merchant in WORLD.roster:
        before = keyed(titles(merchant, today=date(2026, 9, 21)))
        after = keyed(titles(merchant, today=date(2026, 12, 1)))
        assert set(before) == set(after)
        for key, entry in before.items():
            assert after[key].item.get("id") == entry.item.get("id")
            was, is_ = entry.item["status"], after[key].item["status"]
            assert is_ in {"SUCCEED", "TRANSFER_RENEGOTIATED"}
            moved += was in {"PENDING", "SCHEDULED"} and is_ == "SUCCEED"

    assert moved > 50


def test_account_details_are_empty_until_the_money_was_paid():
    for merchant in WORLD.roster:
        for entry in titles(merchant, today=TODAY):
            assert bool(entry.item["accountDetails"]) == (entry.item["status"] == "SUCCEED")


def test_a_failed_payout_comes_again_on_the_friday():
    seen = set()
    for merchant in list(WORLD.roster)[:30]:
        for day in range(30):
            today = date(2026, 9, 1) + timedelta(days=day)
            seen |= {
                (entry.item["status"], entry.paid_on.weekday())
                for entry in WORLD.settlements(merchant, *MONTH, today=today)
                if entry.item["status"] == "FAILED"
                or (entry.start and entry.paid_on.weekday() != 2)
            }

    assert seen == {("FAILED", 2), ("PENDING", 4), ("SUCCEED", 4)}


def test_the_same_money_may_stand_in_three_titles():
    merchant = with_trait(receivables="thrice")
    by_week: dict[date | None, dict[object, int]] = {}
    for entry in titles(merchant, today=TODAY):
        by_week.setdefault(entry.start, {})[entry.item["type"]] = entry.cents

    weeks = [week for week in by_week.values() if "REPASSE" in week]

    assert weeks
    for week in weeks:
        assert week["SALDO POSITIVO"] == week["REPASSE"] == week["REGISTRO_RECEBIVEIS"]


def test_a_renegotiated_title_is_the_sum_of_its_parts():
    merchant = with_trait(receivables="split")
    first = [e for e in titles(merchant, today=TODAY) if e.start == MONTH[0] + timedelta(days=7)]
    cents = {entry.item["type"]: entry.cents for entry in first}

    assert cents["RENEGOCIADA"] == cents["REGISTRO_RECEBIVEIS"] + cents["REPASSE"]


def test_stores_of_one_chain_share_their_titles():
    world = World(Settings(merchants=200))
    pair = next(p for m in world.roster if len(p := world.roster.settled_with(m)) == 2)

    one, other = (world.settlements(merchant, *MONTH, today=TODAY) for merchant in pair)

    assert one
    assert one == other


@given(length=st.integers(min_value=1, max_value=30))
@settings(max_examples=20)
def test_contiguous_blocks_find_every_title_at_least_once(length):
    begin, end = date(2026, 7, 1), date(2026, 9, 20)
    for merchant in list(WORLD.roster)[:3]:
        whole = WORLD.settlements(merchant, begin, end, today=TODAY)
        found = []
        start = begin
        while start <= end:
            last = min(end, start + timedelta(days=length - 1))
            found += WORLD.settlements(merchant, start, last, today=TODAY)
            start = last + timedelta(days=1)
        assert set(keyed(found)) == set(keyed(whole))


def test_a_loose_title_is_found_by_its_first_payment_date_minus_thirty_days():
    loose = [
        (merchant, entry)
        for merchant in WORLD.roster
        for entry in titles(merchant, today=TODAY)
        if entry.start is None
    ]

    assert loose
    for merchant, entry in loose:
        day = entry.paid_on - timedelta(days=30)
        assert entry in WORLD.settlements(merchant, day, day, today=TODAY)


def test_a_query_by_payment_date_gives_the_titles_paid_then():
    for merchant in list(WORLD.roster)[:30]:
        paid = WORLD.settlements(merchant, *MONTH, today=TODAY, by="payment")
        assert all(MONTH[0] <= entry.paid_on <= MONTH[1] for entry in paid)


def test_some_titles_have_no_id_in_each_of_three_ways():
    faces = {
        entry.item.get("id", "absent")
        for merchant in WORLD.roster
        for entry in WORLD.settlements(merchant, date(2026, 3, 2), MONTH[1], today=TODAY)
        if not entry.item.get("id")
    }

    assert faces == {"absent", None, ""}


def test_an_anticipation_is_the_original_less_its_fee():
    statuses, twins = set(), 0
    for merchant in WORLD.roster:
        entries = WORLD.anticipations(merchant, *MONTH, today=TODAY)
        twins += sum(a.item == b.item for a, b in pairwise(entries))
        for entry in entries:
            item = entry.item
            original, fee = item["originalPaymentAmount"], item["feeAmount"]
            assert isinstance(original, Decimal)
            assert isinstance(fee, Decimal)
            assert original - fee == item["anticipatedPaymentAmount"]
            statuses.add(item["status"])

    assert statuses == {"SUCCEED", "PENDING", "FAILED"}
    assert twins > 3


def test_an_anticipation_moves_from_pending_to_succeed():
    merchant = with_trait(plan="daily")
    day = date(2026, 9, 14)

    after = [
        WORLD.anticipations(merchant, day, day, today=day + timedelta(days=n)) for n in (0, 1, 2)
    ]

    assert [[e.item["status"] for e in entries][:1] for entries in after] in (
        [[], ["PENDING"], ["SUCCEED"]],
        [[], [], []],
    )


def test_some_anticipations_are_corrected_later_and_never_again():
    world = World(Settings(merchants=30, no_plan_share=0, corrected_share=0.5))
    stores = [merchant for merchant in world.roster if merchant.plan == "daily"]

    def amounts(today: date) -> list[int]:
        return [
            entry.cents
            for merchant in stores
            for entry in world.anticipations(merchant, *MONTH, today=today)
        ]

    first_day_after = MONTH[1] + timedelta(days=1)
    fresh, settled, later = (amounts(first_day_after + timedelta(days=n)) for n in (0, 6, 60))

    changed = [(one, other) for one, other in zip(fresh, settled, strict=True) if one != other]
    assert settled == later
    assert changed
    assert all(0.85 < other / one < 1.1 for one, other in changed)
