"""What the scheduler forgets and keeps, and that it stands in nobody's way."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Event
from uuid import UUID

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs
from support.records import store, store_many_sales
from support.rows import acts_of, claimed_job, make_jobs, make_rejected_item, row_of, unwatched

from ifood_actors import forgetting
from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.feeds.record_retention import forget_versions
from ifood_actors.ledger import JobResult, Ledger
from ifood_actors.ledger.history_retention import forget_history
from ifood_actors.scheduler import retention
from ifood_actors.scheduler.retention import Retention

pytestmark = pytest.mark.services

KEPT = timedelta(days=100)
OLD, YOUNG = KEPT + timedelta(days=1), KEPT - timedelta(days=1)


class StopsAtTheFirstPause(Event):
    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return super().wait(timeout)


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(forgetting, "BATCH", 3)


def forget(engine: Engine, *names: str, stopping: Event | None = None) -> dict[str, int]:
    """Run retention with these settings at 100 days; the rows that its log names."""
    settings = Settings.model_validate(dict.fromkeys(names, KEPT))
    with capture_logs() as logged:
        Retention(engine, settings, stopping=stopping or Event()).run()
    return {line["what"]: line["rows"] for line in logged if line["event"] == "retention.forgotten"}


def age(engine: Engine, job_id: UUID, by: timedelta) -> None:
    """Let time go by for an ended job and its history."""
    with unwatched(engine) as tx:
        for change in (
            "UPDATE ifood_job_events SET at = at - :by WHERE job_id = :id",
            "UPDATE ifood_jobs SET finished_at = finished_at - :by WHERE id = :id",
        ):
            tx.execute(text(change), {"id": job_id, "by": by})


def a_failed_job(engine: Engine, *, ago: timedelta) -> UUID:
    job = claimed_job(engine)
    with transaction(engine) as tx:
        Ledger(tx, actor="worker").fail(job, error_code="x", reason="y")
    age(engine, job.id, ago)
    return job.id


def test_the_whole_history_of_a_job_that_ended_long_ago_goes_and_the_job_stays(engine):
    old, young = (a_failed_job(engine, ago=ago) for ago in (OLD, YOUNG))
    [open_job] = make_jobs(engine)
    age(engine, open_job.id, OLD)

    assert forget(engine, "keep_history") == {"history": 4}

    assert acts_of(engine, old) == []
    assert row_of(engine, old)["status"] == "failed"
    assert acts_of(engine, young) == ["plan", "dispatch", "claim", "fail"]
    assert acts_of(engine, open_job.id) == ["plan"]


def test_a_job_without_its_history_can_be_requeued_and_goes_on_counting(engine):
    job_id = a_failed_job(engine, ago=OLD)
    forget(engine, "keep_history")

    with transaction(engine) as tx:
        assert Ledger(tx, actor="maria").requeue([job_id], reason="again") == [job_id]

    assert acts_of(engine, job_id) == ["requeue"]
    assert row_of(engine, job_id)["event_no"] == 5


@pytest.mark.usefixtures("small_batches")
def test_all_that_is_old_goes_in_one_pass_however_many_batches_it_takes(engine):
    old = [a_failed_job(engine, ago=OLD) for _ in range(5)]
    kept = a_failed_job(engine, ago=YOUNG)

    assert forget(engine, "keep_history") == {"history": 4 * len(old)}

    assert [acts_of(engine, job_id) for job_id in old] == [[]] * len(old)
    assert len(acts_of(engine, kept)) == 4


@pytest.mark.usefixtures("small_batches")
def test_it_ends_after_a_batch_when_told_to_stop(engine):
    for _ in range(3):
        a_failed_job(engine, ago=OLD)

    assert forget(engine, "keep_history", stopping=StopsAtTheFirstPause()) == {"history": 4}
    assert forget(engine, "keep_history") == {"history": 8}


def test_no_statement_deletes_what_is_recent(engine):
    job_id = a_failed_job(engine, ago=timedelta(days=89))

    with pytest.raises(DBAPIError, match="append-only, until 90 days"), transaction(engine) as tx:
        tx.execute(text("DELETE FROM ifood_job_events WHERE job_id = :id"), {"id": job_id})


def test_the_fleet_works_on_while_a_batch_is_forgotten(engine):
    a_failed_job(engine, ago=OLD)
    with engine.connect() as sweeping, sweeping.begin():
        before = datetime.now(UTC) - KEPT
        assert forget_history(sweeping, before=before, after=0).forgotten == 4

        job = claimed_job(engine)
        with transaction(engine) as tx:
            tx.execute(text("SET LOCAL lock_timeout = '1s'"))
            Ledger(tx, actor="worker").succeed(job, result=JobResult())

    assert acts_of(engine, job.id) == ["plan", "dispatch", "claim", "succeed"]


def test_versions_that_were_replaced_long_ago_go(engine):
    store_old_versions(engine, 2)
    store_old_versions(engine, 3, ago=YOUNG)

    assert forget(engine, "keep_versions") == {"versions": 2}
    assert count(engine, "ifood_record_versions") == 3


def test_raw_of_records_that_were_last_seen_long_ago_is_emptied_and_the_columns_stay(engine):
    now = datetime.now(UTC)
    old = {"first_seen_at": now - OLD, "last_seen_at": now - OLD}
    store(engine, "sales", old | {"sale_gross_value_bag": Decimal("12.50")})
    store(engine, "sales", old | {"sale_id": "seen", "last_seen_at": now - YOUNG})
    store(engine, "settlements_weekly", old)
    store(engine, "anticipations_daily", old)

    assert forget(engine, "keep_raw") == {
        "raw of ifood_settlements": 1,
        "raw of ifood_anticipations": 1,
        "raw of ifood_sales": 1,
    }

    with transaction(engine) as tx:
        rows = tx.execute(
            text("SELECT raw IS NULL, sale_gross_value_bag FROM ifood_sales ORDER BY id")
        ).all()
    assert rows == [(True, Decimal("12.50")), (False, None)]


@pytest.mark.usefixtures("small_batches")
def test_an_emptied_record_is_not_emptied_again(engine):
    store_many_sales(engine, 10)
    with transaction(engine) as tx:
        tx.execute(
            text("UPDATE ifood_sales SET first_seen_at = now() - :by, last_seen_at = now() - :by"),
            {"by": OLD},
        )

    assert forget(engine, "keep_raw") == {"raw of ifood_sales": 10}
    assert forget(engine, "keep_raw") == {}


@pytest.mark.usefixtures("small_batches")
def test_what_is_done_with_is_not_looked_at_again_but_what_grows_old_is(engine, monkeypatch):
    looked: list[int] = []
    monkeypatch.setattr(retention, "forget_versions", seen_by(looked, forget_versions))
    store_old_versions(engine, 6, ago=KEPT + timedelta(days=91))
    store_old_versions(engine, 3)
    settings = Settings.model_validate({"keep_versions": KEPT})
    looking = Retention(engine, settings, stopping=Event())

    looking.run()
    store_old_versions(engine, 2)
    looking.run()

    assert looked == [0, 3, 6, 9, 6, 11]
    assert count(engine, "ifood_record_versions") == 0


def seen_by(looked, act):
    def looking(tx, *, before, after):
        looked.append(after)
        return act(tx, before=before, after=after)

    return looking


def test_rejected_items_go_with_the_raw_of_records_and_no_earlier(engine):
    for key in ("old", "young"):
        make_rejected_item(engine, key)
    with transaction(engine) as tx:
        ages = "UPDATE ifood_rejected_items SET last_seen_at = now() - CAST(:ago AS interval)"
        tx.execute(text(ages), {"ago": YOUNG})
        tx.execute(text(f"{ages} WHERE item_key = 'old'"), {"ago": OLD})

    assert forget(engine, "keep_versions", "keep_history") == {}
    assert forget(engine, "keep_raw") == {"rejected items": 1}
    assert count(engine, "ifood_rejected_items") == 1


def test_no_statement_deletes_versions_that_were_replaced_recently(engine):
    store_old_versions(engine, 1, ago=timedelta(days=89))

    with pytest.raises(DBAPIError, match="kept until 90 days"), transaction(engine) as tx:
        tx.execute(text("DELETE FROM ifood_record_versions"))


def store_old_versions(engine: Engine, number: int, *, ago: timedelta = OLD) -> None:
    with transaction(engine) as tx:
        tx.execute(
            text("""
                INSERT INTO ifood_record_versions
                  (record_table, record_id, job_id, raw, valid_from, valid_to)
                SELECT 'ifood_sales', n, gen_random_uuid(), '{}', '2020-01-01', now() - :ago
                FROM generate_series(1, :number) AS n
            """),
            {"number": number, "ago": ago},
        )


def count(engine: Engine, table: str) -> int:
    with transaction(engine) as tx:
        return int(tx.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
