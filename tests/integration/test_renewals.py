"""Tokens renewed ahead: what is due on a real database, and a Monday of a crowd of accounts."""

import os
import threading
from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

import httpx
import pytest
from sqlalchemy import Engine, text
from support.clock import eventually
from support.distributed import (
    BOOKSHOP,
    Asked,
    asking,
    authorize,
    expire,
    import_accounts,
    link,
    process,
    register,
    stored,
)
from support.world import KEY, MONDAY, World, stand_up

from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.errors import ServerFault, Throttled
from ifood_actors.ifood.http.transport import http_client
from ifood_actors.ifood.tokens import Cipher, Tokens
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Opening
from ifood_actors.renewal import token_states
from ifood_actors.renewal.policy import RefreshPolicy
from ifood_actors.scheduler.refresher import Refresher
from ifood_actors.spans import WEEKDAYS
from ifood_simulator import Settings as IfoodSettings
from ifood_simulator import Simulator, running

pytestmark = pytest.mark.services

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running(IfoodSettings(merchants=6, apps=(BOOKSHOP,), oauth_per_minute=None)) as simulator:
        yield simulator


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with http_client(threads=8) as http:
        yield http


@pytest.fixture
def settings() -> Settings:
    """Let the sales window open in an hour, and the others in five."""
    soon, later = (datetime.now(UTC) + hours * HOUR for hours in (1, 5))
    return Settings.model_validate(
        {
            "timezone": "UTC",
            "sales_window": f"daily {soon:%H:%M}-{soon + HOUR:%H:%M}",
            "anticipations_window": f"daily {later:%H:%M}-{later + HOUR:%H:%M}",
            "settlements_window": (
                f"{WEEKDAYS[later.weekday()]} {later:%H:%M}-{later + HOUR:%H:%M}"
            ),
        }
    )


@pytest.fixture
def owners(engine: Engine, simulator: Simulator, http: httpx.Client):
    """Give three authorizations of two stores each, whose tokens have all ended."""
    register(engine)
    import_accounts(engine, simulator)
    stores = [merchant.id for merchant in simulator.merchants()]
    identities = []
    for number in range(3):
        pair = stores[2 * number : 2 * number + 2]
        identity = authorize(engine, simulator, http, pair, label=f"owner {number}")
        link(engine, identity, pair)
        identities.append(identity)
    expire(engine)
    return identities


@pytest.fixture
def asked(simulator: Simulator, http: httpx.Client) -> Asked:
    return Asked(asking(simulator, http))


def refresher(engine, settings, asked, **changes):
    return Refresher(engine, settings, tokens=process(engine, asked), **changes)


def plan_sales(engine: Engine, settings: Settings, *, slots_in: timedelta, only=None) -> None:
    start = datetime.now(UTC) + slots_in
    opening = Opening("sales", MONDAY, start, start + MINUTE)
    planner.plan(engine, planner.PlanRequest(opening, settings, only=only), actor="test")


def test_pending_jobs_and_the_next_windows_say_who_will_be_needed(engine, settings, owners):
    [first, *_] = owners
    at = datetime.now(UTC)
    plan_sales(engine, settings, slots_in=HOUR)

    deadlines = token_states.deadlines(engine, settings, at=at, until=at + timedelta(days=8))

    assert set(deadlines) == {identity.authorization_id for identity in owners}
    kinds = sorted(deadline.kind for deadline in deadlines[first.authorization_id])
    # Two stores: planned sales, and the next window of each kind.
    assert kinds == sorted(2 * ["sales", "sales", "anticipations_daily", "settlements_weekly"])


@pytest.mark.usefixtures("owners")
def test_what_is_needed_soon_is_renewed_once(engine, settings, asked):
    plan_sales(engine, settings, slots_in=HOUR)

    renewed = [refresher(engine, settings, asked).run() for _ in range(2)]

    assert renewed == [3, 0]
    assert asked.calls == 3
    now = datetime.now(UTC)
    assert all(
        each.fresh_until and each.fresh_until > now
        for each in token_states.authorization_states(engine)
    )


@pytest.mark.usefixtures("owners")
def test_what_nobody_needs_soon_is_left_alone(engine, settings, asked):
    plan_sales(engine, settings, slots_in=timedelta(hours=3))

    assert refresher(engine, settings, asked, policy=RefreshPolicy(lead=MINUTE)).run() == 0
    assert asked.calls == 0


@pytest.mark.usefixtures("owners")
def test_the_windows_to_come_are_seen_without_any_job(engine, settings, asked):
    assert refresher(engine, settings, asked).run() == 3


@pytest.mark.usefixtures("owners")
def test_several_schedulers_renew_each_token_once(engine, settings, asked):
    with ThreadPoolExecutor(4) as pool:
        refreshers = [refresher(engine, settings, asked) for _ in range(4)]
        renewed = list(pool.map(Refresher.run, refreshers))

    assert sum(renewed) == 3
    assert asked.calls == 3


@pytest.mark.usefixtures("owners")
def test_a_round_makes_a_minutes_calls(engine, settings, asked):
    limited = refresher(engine, settings, asked, batch=2)

    assert [limited.run() for _ in range(3)] == [2, 1, 0]


def test_an_unused_refresh_token_is_kept_alive_although_nobody_needs_it(
    engine, settings, owners, asked
):
    with transaction(engine) as tx:
        tx.execute(text("UPDATE accounts SET active = false"))
    nothing_yet = refresher(engine, settings, asked).run()
    expire(engine, refreshed_ago="73 h")

    assert (nothing_yet, refresher(engine, settings, asked).run()) == (0, 3)
    for identity in owners:
        lives = stored(engine, identity, "refresh_expires_at - now()")
        assert lives > timedelta(hours=167)


def test_whoever_needs_its_owner_is_not_asked_for(engine, settings, owners, asked):
    with transaction(engine) as tx:
        tx.execute(
            text(
                "UPDATE ifood_authorizations SET needs_authorization_since = now() WHERE id = :id"
            ),
            {"id": owners[0].authorization_id},
        )

    assert refresher(engine, settings, asked).run() == 2
    assert asked.calls == 2


@pytest.mark.parametrize(("minutes_ago", "asked_again"), [(1, 0), (60, 3)])
@pytest.mark.usefixtures("owners")
def test_refused_credentials_are_asked_about_again_and_stay_refused_until_they_are_taken(
    engine, settings, asked, minutes_ago, asked_again
):
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_apps SET updated_at = now() - INTERVAL '1 day'"))
        tx.execute(
            text(
                "UPDATE ifood_authorizations SET refused_reason = '401',"
                " refused_at = now() - :minutes * INTERVAL '1 minute'"
            ),
            {"minutes": minutes_ago},
        )

    assert {each.refused_reason for each in token_states.authorization_states(engine)} == {"401"}
    assert refresher(engine, settings, asked).run() == asked_again
    assert {each.refused_reason for each in token_states.authorization_states(engine)} == {
        None if asked_again else "401"
    }


@pytest.mark.usefixtures("owners")
def test_a_throttled_application_is_left_alone_for_the_round(engine, settings, asked):
    asked.fault = Throttled("429", after=MINUTE)

    assert refresher(engine, settings, asked).run() == 0
    assert refresher(engine, settings, asked).run() == 0
    assert asked.calls <= 3  # those that were on their way


@pytest.mark.usefixtures("owners")
def test_faults_in_a_row_end_a_round(engine, settings, asked):
    asked.fault = ServerFault("503")

    assert refresher(engine, settings, asked).run() == 0

    asked.fault = None
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_authorizations SET locked_until = NULL"))
    assert refresher(engine, settings, asked).run() == 3


# One second stands for 200. RENEWALS_ACCOUNTS=1000 plays the Monday of a crowd, whose window and
# whose lead are two hours; fewer accounts have as much less of both.
COMPRESSED = 200
ACCOUNTS = int(os.environ.get("RENEWALS_ACCOUNTS", "400"))
RATE = 15 * COMPRESSED
SIMULATED_MINUTE = MINUTE / COMPRESSED
LEAD = WINDOW = 2 * HOUR * ACCOUNTS / 1000 / COMPRESSED
# A round's look at the database takes as long as in life, and a machine may stand still meanwhile.
ROUND = timedelta(seconds=10)
AHEAD = RefreshPolicy(lead=LEAD, margin=15 * MINUTE / COMPRESSED)
# Used for as long as a token of three hours, all of its life but 5 %; of so short a life it is all
# but a minute.
TOKEN_SECONDS = 60 + 0.95 * 3 * HOUR.total_seconds() / COMPRESSED


@pytest.fixture(scope="module")
def crowd() -> Iterator[Simulator]:
    world = IfoodSettings(
        merchants=ACCOUNTS,
        apps=(BOOKSHOP,),
        financial_per_minute=None,
        oauth_per_minute=None,
        window_seconds=SIMULATED_MINUTE.total_seconds(),
        token_seconds=TOKEN_SECONDS,
        no_plan_share=1.0,
        sales_per_day=0.0,
    )
    with running(world) as simulator:
        yield simulator


@pytest.mark.alone
def test_all_tokens_have_expired_and_are_there_before_their_jobs(
    crowd, database_url, broker_url, http
):
    """
    All tokens have ended, and a window opens in a little more than the lead.

    Everything is 200 times as fast: 15 token calls a minute are 3,000, iFood's minute is 0.3 s,
    in which it allows 20.
    """
    with stand_up(crowd, database_url=database_url, broker_url=broker_url) as ifood:
        authorize_all(ifood, http)
        expire(ifood.engine)
        crowd.set_limits({"oauth": 20})
        seen = len(crowd.journal_since(0))

        tokens = process(ifood.engine, asking(crowd, http), rate=RATE, cipher=Cipher([KEY]))
        with ifood.working():
            opens = datetime.now(UTC) + LEAD + timedelta(seconds=10)  # in which it is planned
            opening = Opening("anticipations_daily", MONDAY, opens, opens + WINDOW)
            planner.plan(ifood.engine, planner.PlanRequest(opening, ifood.settings), actor="test")
            with renewing(ifood, tokens):
                threading.Event().wait((opening.window_end - datetime.now(UTC)).total_seconds())
                eventually(ifood.idle)

        calls = [entry for entry in crowd.journal_since(seen) if entry["path"].endswith("/token")]
        figures = measure(ifood, calls, opens)
        print(report(figures))  # noqa: T201 - what the run is for

        assert [entry["status"] for entry in calls] == [200] * ACCOUNTS
        assert figures["started"] <= LEAD * COMPRESSED
        assert figures["started"] > (LEAD - ROUND) * COMPRESSED
        assert figures["worst"] <= 18
        assert figures["without"] == 0
        assert ifood.rows("SELECT status FROM ifood_jobs WHERE status <> 'success'") == []
        assert ifood.rows("SELECT FROM ifood_job_events WHERE act IN ('snooze', 'retry')") == []


def authorize_all(ifood: World, http: httpx.Client) -> None:
    cipher = Cipher([KEY])
    stores = [merchant.id for merchant in ifood.simulator.merchants()]

    def one(number: int) -> None:
        store = [stores[number]]
        identity = authorize(
            ifood.engine, ifood.simulator, http, store, label=f"owner {number}", cipher=cipher
        )
        link(ifood.engine, identity, store)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(len(stores))))


@contextmanager
def renewing(ifood: World, tokens: Tokens) -> Iterator[None]:
    """
    Let the tick of a scheduler run.

    A round looks at the database once, which is no faster here: so it makes four minutes' calls.
    """
    ticking = Refresher(ifood.engine, ifood.settings, tokens=tokens, batch=60, policy=AHEAD)
    stopping = threading.Event()

    def tick() -> None:
        while not stopping.wait(SIMULATED_MINUTE.total_seconds() / 2):
            ticking.run()

    thread = threading.Thread(target=tick, name="refresher")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def measure(ifood: World, calls, opens: datetime):
    """Give figures in simulated time."""
    instants = sorted(entry["at"] for entry in calls)
    minute = SIMULATED_MINUTE.total_seconds()
    within = (bisect_left(instants, at + minute) - number for number, at in zip(count(), instants))
    jobs = ifood.rows("""
        SELECT job.scheduled_for - held.renewed_at AS ahead,
          job.finished_at - job.scheduled_for AS took
        FROM ifood_jobs AS job JOIN accounts AS account ON account.id = job.account_id
        JOIN ifood_authorizations AS held ON held.id = account.authorization_id
    """)
    ahead = sorted(job["ahead"] for job in jobs)
    took = sorted(job["took"] for job in jobs)
    return {
        "started": (opens - datetime.fromtimestamp(instants[0], UTC)) * COMPRESSED,
        "lasted": timedelta(seconds=instants[-1] - instants[0]) * COMPRESSED,
        "calls": len(calls),
        "worst": max(within),
        "without": sum(each < timedelta(0) for each in ahead),
        "least_ahead": ahead[0] * COMPRESSED,
        "median_took": took[len(took) // 2],
        "longest_took": took[-1],
    }


def report(figures) -> str:
    return (
        f"\n{figures['calls']} tokens renewed from {figures['started']} before the window, "
        f"for {figures['lasted']}\n"
        f"worst 60 s: {figures['worst']} token calls of the 20 that iFood allows\n"
        f"jobs whose token was not there at their slot: {figures['without']}; "
        f"least ahead: {figures['least_ahead']}\n"
        f"from slot to end, in real time: median {figures['median_took'].total_seconds():.2f} s, "
        f"longest {figures['longest_took'].total_seconds():.2f} s"
    )
