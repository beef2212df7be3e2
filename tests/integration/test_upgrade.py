"""An upgrade while the fleet works: old and new processes side by side, and locks that give way."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs
from support.clock import eventually
from support.program import installation
from support.rows import make_jobs
from support.world import MONDAY, stand_up

from ifood_actors import migrations
from ifood_actors.db import connect, transaction
from ifood_actors.errors import IfoodActorsError, UsageError
from ifood_simulator import Settings, running

pytestmark = pytest.mark.services

# What a later release might do: it adds, and takes nothing away.
LATER = (
    "ALTER TABLE ifood_jobs ADD COLUMN later text",
    "ALTER TABLE ifood_job_events ADD COLUMN later text DEFAULT 'x'",
    "ALTER TABLE ifood_sales ADD COLUMN later numeric",
    "ALTER TABLE ifood_authorizations ADD COLUMN later text",
    "CREATE TABLE ifood_later (id bigint PRIMARY KEY)",
    "UPDATE alembic_version SET version_num = '9999'",
)


def be_at(engine, revision):
    with transaction(engine) as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})


def test_processes_work_on_and_start_again_while_a_newer_schema_is_there(
    tmp_path, database_url, broker_url
):
    world = Settings(merchants=12, today=MONDAY, latency_seconds=0.05)
    with (
        running(world) as simulator,
        stand_up(simulator, database_url=database_url, broker_url=broker_url) as installed,
    ):
        urls = {"database_url": database_url, "broker_url": broker_url}
        old = installation(tmp_path, simulator, **urls, IFOOD_LEASE="60s")
        old.settings["IFOOD_ENCRYPTION_KEYS"] = installed.settings.require_encryption_keys()[0]
        installed.plan("sales")
        with old.process("scheduler"):
            with old.process("worker"):
                eventually(lambda: succeeded(installed) > 0)
                for change in LATER:
                    with transaction(installed.engine) as tx:
                        tx.execute(text(change))
                done = succeeded(installed)
                installed.plan("anticipations_daily")
                eventually(lambda: succeeded(installed) > done)
            installed.plan("settlements_weekly")
            with old.process("worker"):
                eventually(installed.idle)
        jobs = installed.rows("SELECT status, attempts FROM ifood_jobs")

    assert [(job["status"], job["attempts"]) for job in jobs] == [("success", 1)] * 36
    assert '"schema.newer"' in old.logs()
    assert "traceback" not in old.logs().lower()


def succeeded(installed):
    return len(installed.rows("SELECT FROM ifood_jobs WHERE status = 'success'"))


def test_a_migration_gives_way_to_whoever_uses_its_table(empty_database_url, monkeypatch):
    monkeypatch.setattr(migrations, "_PAUSE", timedelta(seconds=0.5))
    migrations.upgrade(empty_database_url, to="0004")
    engine = connect(empty_database_url, application_name="tests")
    with ThreadPoolExecutor() as threads, capture_logs() as logged:
        with engine.connect() as report, report.begin():
            report.execute(text("SELECT count(*) FROM ifood_sales"))
            upgrading = threads.submit(migrations.upgrade, empty_database_url)
            eventually(lambda: logged)
            # It waits for the table now and then, and others wait behind it, but not for long.
            for _ in range(3):
                with transaction(engine) as tx:
                    tx.execute(text("SELECT count(*) FROM ifood_sales"))
            assert not upgrading.done()

        assert upgrading.result() == migrations.REVISIONS[4:]
    engine.dispose()
    assert {line["event"] for line in logged} == {"migration.gave_way"}


def test_a_migration_that_gets_no_lock_is_given_up_whole(empty_database_url, monkeypatch):
    monkeypatch.setattr(migrations, "_TRIES", 1)
    monkeypatch.setattr(migrations, "_PAUSE", timedelta(0))
    migrations.upgrade(empty_database_url, to="0004")
    engine = connect(empty_database_url, application_name="tests")
    with engine.connect() as report, report.begin():
        report.execute(text("SELECT count(*) FROM ifood_sales"))

        with pytest.raises(IfoodActorsError, match="nothing was migrated: for minutes"):
            migrations.upgrade(empty_database_url)

    with transaction(engine) as tx:
        assert migrations.pending(tx) == migrations.REVISIONS[4:]
    engine.dispose()


def test_a_newer_database_needs_nothing_of_an_older_program(engine, database_url):
    make_jobs(engine)
    be_at(engine, "9999")

    with transaction(engine) as tx, capture_logs() as logged:
        migrations.require_current(tx)

    assert [line["event"] for line in logged] == ["schema.newer"]
    assert migrations.upgrade(database_url) == []


@pytest.mark.parametrize("revision", ["0000", "3f2a1b", ""])
def test_a_database_of_another_program_is_refused(engine, revision):
    be_at(engine, revision)

    with (
        transaction(engine) as tx,
        pytest.raises(UsageError, match="none of this program's"),
    ):
        migrations.require_current(tx)
