"""How a period is cut into spans, and which failures make them shorter."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.errors import Forbidden, GatewayFault, SchemaBroken, ServerFault, Throttled
from ifood_actors.feeds.blocks import read_blocks
from ifood_actors.planning.cadence import DAY
from ifood_actors.spans import Period

FIRST = date(2026, 8, 24)


def days(count: int) -> Period:
    return Period(FIRST, FIRST + (count - 1) * DAY)


class Reader:
    """Fails at every span of more than `longest` days, and notes what it was asked."""

    def __init__(self, *, longest: int, error: Exception | None = None) -> None:
        self.longest = longest
        self.error = error or ServerFault("500", status=500)
        self.asked: list[int] = []

    def __call__(self, block: Period) -> Period:
        self.asked.append(block.days)
        if block.days > self.longest:
            raise self.error
        return block


def test_a_period_is_read_in_blocks():
    reader = Reader(longest=30)

    blocks = list(read_blocks(reader, days(70), largest=30, smallest=7))

    assert reader.asked == [30, 30, 10]
    assert (blocks[0].start, blocks[-1].end) == (FIRST, days(70).end)


def test_only_the_block_that_fails_is_halved():
    reader = Reader(longest=14)

    list(read_blocks(reader, days(35), largest=28, smallest=7))

    assert reader.asked == [28, 14, 14, 7]


@pytest.mark.parametrize(
    ("length", "smallest", "asked"),
    [
        (28, 7, [28, 14, 7]),
        (30, 7, [30, 15, 8]),
        (13, 7, [13]),
        (7, 1, [7, 4, 2, 1]),
        (1, 1, [1]),
    ],
)
def test_an_outage_costs_few_requests_and_ends_with_its_fault(length, smallest, asked):
    reader = Reader(longest=0)

    with pytest.raises(ServerFault):
        list(read_blocks(reader, days(length), largest=30, smallest=smallest))

    assert reader.asked == asked


@pytest.mark.parametrize(
    "error",
    [
        ServerFault("ReadTimeout"),
        ServerFault("408", status=408),
        ServerFault("302", status=302),
        *(GatewayFault("page", status=status) for status in (200, 403, 404)),
        Forbidden("403", status=403),
        SchemaBroken("no list"),
        Throttled("429", after=timedelta(seconds=30)),
    ],
)
def test_what_a_shorter_span_would_meet_as_well_is_raised_at_once(error):
    reader = Reader(longest=0, error=error)

    with pytest.raises(type(error)):
        list(read_blocks(reader, days(28), largest=28, smallest=7))

    assert reader.asked == [28]


@given(
    length=st.integers(1, 400),
    largest=st.integers(1, 30),
    smallest=st.integers(1, 7),
    longest=st.integers(1, 30),
)
def test_every_day_is_read_once_or_the_fault_is_told(length, largest, smallest, longest):
    period, reader = days(length), Reader(longest=longest)

    try:
        blocks = list(read_blocks(reader, period, largest=largest, smallest=smallest))
    except ServerFault:
        assert reader.asked[-1] > longest
        return

    read = [block.start + n * DAY for block in blocks for n in range(block.days)]
    assert read == [period.start + n * DAY for n in range(length)]
