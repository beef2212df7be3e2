"""docs/capacity.md: every figure in its tables is what the formulas say."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from ifood_actors.capacity.estimate import Demand, Resource, Supply, estimate
from ifood_actors.capacity.forecast import (
    ASSUMED_LATENCY,
    Deployment,
    forecast,
)
from ifood_actors.cli.output import duration
from ifood_actors.cli.work.capacity import SIZES, days_of, ends_of, worst_of_each_kind
from ifood_actors.config import Settings
from ifood_actors.kinds import KINDS
from ifood_actors.planning.pacing import jobs_within

PAGE = (Path(__file__).parents[2] / "docs" / "capacity.md").read_text()

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
ACCOUNTS, BATCH, AT_ONCE, LIMIT = 1000, 5, 20, 180
FORMER = {
    "settlements": (Demand(ACCOUNTS, 2, SECOND), Supply(4 * HOUR, BATCH, LIMIT, AT_ONCE)),
    "anticipations": (Demand(ACCOUNTS, 1, SECOND), Supply(2 * HOUR, BATCH, LIMIT, AT_ONCE)),
}


def table(rows: list[tuple[object, ...]]) -> str:
    lines = [" | ".join(map(_cell, row)) for row in rows]
    rule = " | ".join("---" for _ in rows[0])
    return "\n".join(f"| {line} |" for line in (lines[0], rule, *lines[1:]))


def _cell(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case timedelta():
            return duration(value)
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def assumed() -> str:
    return table(
        [
            ("kind", "one request reads", "requests for it"),
            *(
                (f"`{kind.name}`", f"{kind.block_days} days", kind.assumed_requests)
                for kind in KINDS.values()
            ),
        ]
    )


def growth() -> str:
    rows: list[tuple[object, ...]] = [
        (
            *("accounts", "kind", "days", "bottleneck", "ends", "fits"),
            *("needs jobs a minute", "requests a minute", "at the same time"),
        )
    ]
    for size in SIZES:
        week = forecast(Settings(), Deployment(size))
        for one in worst_of_each_kind(week.forecasts):
            verdict = one.verdict
            rows.append(
                (
                    *(size, f"`{one.kind}`", days_of(one), verdict.bottleneck.replace("_", " ")),
                    *(ends_of(one, week), verdict.fits, *verdict.needed.values()),
                )
            )
    return table(rows)


def former() -> str:
    verdicts = [estimate(*pair) for pair in FORMER.values()]
    rooms = [_room(supply) for _, supply in FORMER.values()]
    paced = [verdict.spans[Resource.PACING] for verdict in verdicts]
    return table(
        [
            ("", *FORMER),
            ("window", *(supply.window for _, supply in FORMER.values())),
            ("jobs that it can start", *rooms),
            (f"{ACCOUNTS:,} accounts take", *paced),
            ("accounts left out", *(max(0, ACCOUNTS - room) for room in rooms)),
            ("fits", *(verdict.fits for verdict in verdicts)),
            ("jobs a minute that fit", *(verdict.needed[Resource.PACING] for verdict in verdicts)),
            ("of its twenty, busy on average", *(f"{_busy(name):.2f}" for name in FORMER)),
            ("requests a minute", *(f"{_requests_a_minute(name):g}" for name in FORMER)),
        ]
    )


def claims() -> str:
    settlements, anticipations = (estimate(*pair) for pair in FORMER.values())
    hours, room = duration(settlements.spans[Resource.PACING]), _room(FORMER["anticipations"][1])
    enough = anticipations.needed[Resource.PACING]
    four_hours, two_hours = (_needed(name, 5000) for name in FORMER)
    threads = max(four_hours[Resource.CONCURRENCY], two_hours[Resource.CONCURRENCY])
    asked = f"{_requests_a_minute('settlements'):g}"
    said_and_is = {
        "1,000 settlements are done in about 50 minutes": (
            f"5 a minute take {hours} to start; after 50 minutes {BATCH * 50} have"
        ),
        "1,000 accounts are supported": (
            f"5 a minute for two hours are {room}: {ACCOUNTS - room} accounts get no "
            f"anticipations; it takes {enough} a minute"
        ),
        "twenty at a time, looked for six times a minute, are 120 jobs a minute": (
            "twenty at a time are no limit at these rates: for all to be busy, a job would have "
            f"to take {AT_ONCE // BATCH} minutes; where 5 a minute start, 5 a minute end"
        ),
        "twenty at a time keep to iFood's limit, 100 to 200 requests a minute": (
            f"twenty that wait 1 s for each answer ask {AT_ONCE * 60:,} times a minute; what "
            f"kept to it were the 5 a minute, with {asked} requests"
        ),
        "for 5,000 accounts, 10 to 20 a minute and 50 at a time": (
            f"it takes {four_hours[Resource.PACING]} a minute in four hours, "
            f"{two_hours[Resource.PACING]} in two; of workers, {threads} at a time is enough"
        ),
    }
    return table([("it said", "it is"), *said_and_is.items()])


def _room(supply: Supply) -> int:
    return jobs_within(supply.window, batch_size=BATCH)


def _busy(name: str) -> float:
    return BATCH * FORMER[name][0].job_length / timedelta(minutes=1)


def _requests_a_minute(name: str) -> float:
    return BATCH * FORMER[name][0].requests_per_job


def _needed(name: str, accounts: int) -> dict[Resource, int]:
    demand, supply = FORMER[name]
    return estimate(replace(demand, accounts=accounts), supply).needed


def test_the_page_tells_what_is_assumed():
    assert assumed() in PAGE
    assert f"a request takes {duration(ASSUMED_LATENCY)}" in PAGE


def test_the_page_tells_how_it_grows():
    assert growth() in PAGE


def test_the_page_reproduces_the_table_of_the_former_system_and_its_errors():
    assert former() in PAGE
    assert claims() in PAGE


def test_the_page_tells_how_many_jobs_the_default_limit_can_serve():
    [supply] = {one.load.supply for one in forecast(Settings(), Deployment(1)).forecasts[:1]}

    assert re.search(rf"\({supply.most_concurrency} at the default limit\)", PAGE)
