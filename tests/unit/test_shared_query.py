"""Querying a service that hangs, fails, or is asked by too many."""

import asyncio
from threading import Event

import pytest
from support.clock import PATIENCE_SECONDS

from ifood_actors.web.health import Check
from ifood_actors.web.shared_query import SharedQuery


class Service:
    """Counts how often it is asked; answers once it is let."""

    def __init__(self, *, error=None):
        self.asked = 0
        self.let = Event()
        self.error = error

    def __call__(self):
        self.asked += 1
        self.let.wait(PATIENCE_SECONDS)
        if self.error:
            raise self.error
        return self.asked


def test_a_service_that_hangs_is_asked_once_however_many_want_to_know():
    service = Service()
    query = SharedQuery(service, holds_for=60)

    async def many():
        late = [query.answer(within=0.05) for _ in range(20)]
        found = await asyncio.gather(*late, return_exceptions=True)
        service.let.set()
        return found, await query.answer(within=PATIENCE_SECONDS)

    found, answer = asyncio.run(many())

    assert [type(each) for each in found] == [TimeoutError] * 20
    assert (answer, service.asked) == (1, 1)


@pytest.mark.parametrize(("holds_for", "asked"), [(60, 1), (0, 3)])
def test_an_answer_holds_for_a_while(holds_for, asked):
    service = Service()
    service.let.set()
    query = SharedQuery(service, holds_for=holds_for)

    async def thrice():
        return [await query.answer(within=PATIENCE_SECONDS) for _ in range(3)]

    assert asyncio.run(thrice())[-1] == service.asked == asked


def test_an_error_is_everybodys_answer_until_it_is_asked_again():
    service = Service(error=OSError("away"))
    service.let.set()
    query = SharedQuery(service, holds_for=0)

    async def twice():
        with pytest.raises(OSError, match="away"):
            await query.answer(within=PATIENCE_SECONDS)
        service.error = None
        return await query.answer(within=PATIENCE_SECONDS)

    assert asyncio.run(twice()) == 2


def test_a_check_says_what_is_wrong_and_logs_a_change_once(caplog):
    caplog.set_level("WARNING")  # a command that another test called may have raised it
    service = Service(error=OSError("no route"))
    service.let.set()
    check = Check("rabbitmq", service)

    async def three_times():
        verdicts = [await check.verdict(), await check.verdict()]
        service.error = None
        check._query._holds_until = 0
        return [*verdicts, await check.verdict()]

    assert asyncio.run(three_times()) == ["cannot be reached", "cannot be reached", "ok"]
    said = [record.msg["verdict"] for record in caplog.records if "health" in record.name]
    assert said == ["cannot be reached", "ok"]
