"""One delivery from claim to settled, on real services, for everything that iFood may answer."""

from contextlib import contextmanager
from datetime import date, timedelta
from threading import Timer

import pytest
import simplejson
from dramatiq.middleware import Shutdown
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from support.clock import eventually
from support.logins import as_login
from support.world import MONDAY, stand_up

from ifood_actors.db import repeated, transaction
from ifood_actors.delivery import execute
from ifood_actors.delivery.claims import Claims
from ifood_actors.errors import LeaseLost
from ifood_actors.kinds import KINDS
from ifood_actors.ledger import Ledger
from ifood_actors.ledger.statements import CLAIM
from ifood_actors.round_trip import ask, ask_and_commit
from ifood_simulator import Fault, Settings, running

FOREIGN = ("failed", "foreign", 2)


@pytest.fixture
def start(database_url, broker_url):
    """Start a fleet before a simulator of so many merchants."""

    @contextmanager
    def start(merchants=1, *, faults=(), **changes):
        settings = Settings(merchants=merchants, today=MONDAY, sales_page_size=5, no_plan_share=0.5)
        with running(settings) as simulator:
            for fault in faults:
                simulator.add_fault(fault)
            with stand_up(
                simulator, database_url=database_url, broker_url=broker_url, **changes
            ) as started:
                yield started

    return start


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_stored_equals_what_was_served(start, kind):
    name, table = KINDS[kind].resource, KINDS[kind].table
    with start(20) as world, world.working():
        jobs = world.run(kind)

        assert {job["status"] for job in jobs} == {"success"}
        period = jobs[0]["period_start"], jobs[0]["period_end"]
        for merchant in world.simulator.merchants():
            served = simplejson.loads(
                world.simulator.truth(name, merchant.id, *period), use_decimal=True
            )
            stored = world.rows(
                f"SELECT raw::text FROM {table} WHERE merchant_id = :id", id=merchant.id
            )
            items = [simplejson.loads(row["raw"], use_decimal=True) for row in stored]
            assert _sorted(items) == _sorted([line["item"] for line in served])


def test_a_second_pull_stores_nothing_anew(start):
    with start(5) as world, world.working():
        world.run("sales")
        again = world.run("sales", day=date(2026, 9, 20))
        changed = world.rows("SELECT count(*) AS versions FROM ifood_record_versions")

    assert all(job["result"]["unchanged"] > 0 for job in again if job["result"]["rows"])
    assert changed == [{"versions": 0}]


def test_a_store_that_took_its_permission_back_fails_at_once(start):
    with start(faults=[Fault("revoked", resource="sales")]) as world, world.working():
        [job] = world.run("sales")

        assert (job["status"], job["error_code"], job["attempts"]) == ("failed", "forbidden", 1)
        assert world.acts(job["id"]) == ["plan", "claim", "fail"]


def test_a_fault_that_passes_costs_attempts_and_ends_in_success(start):
    fault = Fault("cut", resource="sales", times=2)
    with start(faults=[fault]) as world, world.working():
        [job] = world.run("sales")

        assert (job["status"], job["attempts"], job["last_error"]) == ("success", 3, None)
        retried = ["plan", "claim", "retry", "claim", "retry", "claim", "succeed"]
        assert world.acts(job["id"]) == retried


def test_a_fault_that_stays_ends_failed_after_all_attempts(start):
    fault = Fault("status", resource="sales", status=503)
    with start(faults=[fault]) as world, world.working():
        [job] = world.run("sales")

    assert (job["status"], job["error_code"], job["attempts"]) == ("failed", "server_fault", 3)
    assert "503" in job["last_error"]


def test_a_429_sends_everybody_away_and_charges_nobody(start):
    fault = Fault("status", resource="sales", status=429, headers={"Retry-After": "2"}, times=1)
    with start(4, faults=[fault]) as world, world.working():
        jobs = world.run("sales")
        answers = world.simulator.stats()["groups"][0]["by_status"]
        told = world.rows(
            "SELECT detail ->> 'http_status' AS status FROM ifood_job_events"
            " WHERE act = 'snooze' AND detail ->> 'http_status' IS NOT NULL"
        )

    assert {(job["status"], job["attempts"]) for job in jobs} == {("success", 1)}
    assert answers["429"] == 1
    assert told == [{"status": "429"}]


def test_an_answer_that_money_cannot_be_read_from_is_asked_for_once_more_and_never_stored(start):
    with start(faults=[Fault("nan", resource="sales")]) as world, world.working():
        [job] = world.run("sales")
        stored = world.rows("SELECT count(*) AS sales FROM ifood_sales")

    assert (job["status"], job["error_code"], job["attempts"]) == ("failed", "schema", 2)
    assert stored == [{"sales": 0}]


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_about_other_days_stores_nothing_and_marks_nothing(start, kind):
    name, table = KINDS[kind].resource, KINDS[kind].table
    with start(4) as world, world.working():
        world.run(kind)
        before = world.rows(f"SELECT * FROM {table} ORDER BY id")
        world.simulator.add_fault(Fault("foreign", resource=name, whose="days"))
        jobs = world.run(kind, day=MONDAY + timedelta(days=7))
        after = world.rows(f"SELECT * FROM {table} ORDER BY id")

    assert before
    assert after == before
    outcomes = {(job["status"], job["error_code"], job["attempts"]) for job in jobs}
    # A store that had nothing a year ago either answers with nothing.
    assert FOREIGN in outcomes
    assert outcomes <= {FOREIGN, ("success", None, 1)}


@pytest.mark.parametrize("whose", ["both", "merchant", "days"])
def test_sales_of_another_merchant_or_year_are_asked_for_once_more(start, whose):
    fault = Fault("foreign", resource="sales", whose=whose, times=1)
    with start(2, faults=[fault]) as world, world.working():
        jobs = world.run("sales")
        acts = sorted((world.acts(job["id"]) for job in jobs), key=len)
        foreign = world.rows("SELECT FROM ifood_sales WHERE raw #>> '{merchant,id}' <> merchant_id")

    assert acts[-1] == ["plan", "claim", "retry", "claim", "succeed"]
    assert {job["status"] for job in jobs} == {"success"}
    assert foreign == []


def test_titles_that_come_with_another_merchants_id_are_kept_and_noted(start):
    fault = Fault("foreign", resource="settlements", whose="merchant")
    with start(2, faults=[fault]) as world, world.working():
        jobs = world.run("settlements_weekly")

    noted = {job["merchant_id"]: job["result"]["other_merchant_ids"] for job in jobs}
    first, second = noted
    assert noted == {first: [second], second: [first]}
    assert all(job["result"]["rows"] for job in jobs)


def test_an_account_without_an_application_fails_with_what_to_do(start):
    with start() as world, world.working():
        with transaction(world.engine) as tx:
            tx.execute(text("UPDATE accounts SET app_id = NULL"))
        [job] = world.run("sales")

    assert (job["status"], job["error_code"]) == ("failed", "credentials")
    assert "accounts import" in job["last_error"]


def test_a_worker_whose_job_was_taken_over_stores_nothing(start, monkeypatch):
    late: list[object] = []
    lost: list[object] = []

    def store_late(engine, work):
        """The first to store does so when another has taken the job over and ended it."""
        if work.__name__ != "store" or late:
            return repeated(engine, work)
        late.append(work)
        with transaction(as_login(ifood.engine, "scheduler")) as tx:
            jobs = list(tx.execute(text("SELECT id FROM ifood_jobs")).scalars())
            Ledger(tx, actor="test").rescue(jobs, reason="taken over")
        eventually(lambda: ifood.rows("SELECT FROM ifood_jobs WHERE status = 'success'"))
        with pytest.raises(LeaseLost) as raised:
            repeated(engine, work)
        lost.append(raised.value)
        raise raised.value

    monkeypatch.setattr(execute, "repeated", store_late)
    with start() as ifood, ifood.working():
        [job] = ifood.run("sales")
        eventually(lambda: lost)

        assert ifood.acts(job["id"]) == ["plan", "claim", "rescue", "claim", "succeed"]
        writers = ifood.rows("SELECT DISTINCT job_id FROM ifood_sales")
        assert writers == [{"job_id": job["id"]}]


def test_a_stopping_worker_gives_its_jobs_back_uncharged(start):
    endless = Fault("drip", resource="sales", bytes_per_second=10, times=1)
    with start(faults=[endless]) as world:
        with world.working():
            world.plan("sales")
            eventually(lambda: _asked_for_sales(world))
        [job] = world.rows("SELECT * FROM ifood_jobs")

        assert (job["status"], job["attempts"]) == ("pending", 0)
        assert world.acts(job["id"]) == ["plan", "claim", "snooze"]


def committed(engine, sent):
    """Do a round trip on a connection of its own, commit included."""
    with transaction(engine) as tx:
        ask_and_commit(tx, *sent)


def committed_late(engine, sent):
    """Do it on a connection that is lost, whose commit takes its time."""
    connection = engine.connect()
    lost = connection.begin()
    ask(connection, *sent)

    def commit():
        lost.commit()
        connection.close()

    Timer(0.5, commit).start()


@pytest.fixture
def alone(monkeypatch):
    """Have each delivery claim its job by itself."""
    monkeypatch.setattr(Claims, "start", lambda _: None)


@pytest.fixture
def claims(monkeypatch):
    """Have another function send the claims of a test, and all else be sent as ever."""

    def send_by(send):
        def sent(connection, *round_trip):
            if round_trip[-1][0] is CLAIM.sql:
                return send(connection, *round_trip)
            return ask_and_commit(connection, *round_trip)

        for module in ("ledger", "claim_batches"):
            monkeypatch.setattr(f"ifood_actors.ledger.{module}.ask_and_commit", sent)

    return send_by


@pytest.mark.parametrize("company", ["alone", "in a batch"])
@pytest.mark.parametrize("commit", [committed, committed_late])
def test_a_claim_whose_commit_is_not_heard_of_is_this_deliverys_own(
    start, claims, commit, company, request
):
    """The commit takes place, its answer is lost, and the claim is done again."""
    told: list[object] = []
    if company == "alone":
        request.getfixturevalue("alone")

    def unheard(connection, *sent):
        if told:
            return ask_and_commit(connection, *sent)
        told.append(sent)
        commit(connection.engine, sent)
        raise DBAPIError(None, None, ConnectionError(), connection_invalidated=True)

    claims(unheard)
    with start() as world, world.working():
        [job] = world.run("sales")

        assert (job["status"], job["attempts"]) == ("success", 1)
        assert world.acts(job["id"]) == ["plan", "claim", "succeed"]


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("commit", [committed, committed_late])
def test_a_claim_that_a_shutdown_interrupts_is_given_back_at_once(start, claims, commit):
    """The interrupt comes in the commit, which takes place, or fails."""
    told: list[object] = []

    def interrupted(connection, *sent):
        if len(told) == 2:
            return ask_and_commit(connection, *sent)
        told.append(sent)
        if len(told) == 1:
            ask(connection, *sent)  # rolled back
        else:
            commit(connection.engine, sent)
        raise Shutdown

    claims(interrupted)
    with start() as world, world.working():
        [job] = world.run("sales")

        assert (job["status"], job["attempts"]) == ("success", 1)
        assert world.acts(job["id"]) == ["plan", "claim", "snooze", "claim", "succeed"]


def _asked_for_sales(world):
    groups = world.simulator.stats()["groups"]
    return any(group["group"] == "financial" and group["total"] for group in groups)


def _sorted(items):
    return sorted(items, key=lambda item: simplejson.dumps(item, sort_keys=True, use_decimal=True))
