"""The scheduler's process among ticks that hang or fail."""

import signal
import subprocess
import sys
from threading import Event

import pytest
from dramatiq import BrokerConnectionError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from support.clock import PATIENCE_SECONDS, eventually
from support.rows import make_jobs

from ifood_actors.config import Settings
from ifood_actors.db import connect, transaction
from ifood_actors.errors import IfoodActorsError
from ifood_actors.scheduler import heartbeat
from ifood_actors.scheduler.scheduler import Scheduler

pytestmark = pytest.mark.services

HANGING = """
import sys
from threading import Event
from ifood_actors.config import Settings
from ifood_actors.db import connect
from ifood_actors.scheduler import scheduler

class Publisher:
    def enqueue_many(self, messages):
        print("hanging", flush=True)
        Event().wait()

url, scheduler.STOP_WITHIN = sys.argv[1], 1
settings = Settings.model_validate({"database_url": url, "worker_poll_interval_ms": 100})
scheduler.run(settings, engine=connect(url, application_name="hanging"), publisher=Publisher())
"""


@pytest.fixture
def settings(database_url):
    return Settings.model_validate(
        {
            "database_url": database_url,
            "worker_poll_interval_ms": 100,
            "sales_window": "daily 00:00-23:59",
            "timezone": "UTC",
        }
    )


class Publisher:
    """Hangs or fails until it is told to work."""

    def __init__(self, *, error=None):
        self.works = Event()
        self.sent = []
        self._error = error

    def enqueue_many(self, messages):
        if self._error and not self.works.is_set():
            raise self._error
        self.works.wait()
        self.sent += messages


def planned(engine):
    with transaction(engine) as tx:
        runs = "SELECT count(*) FROM ifood_runs WHERE created_by LIKE 'scheduler %'"
        return tx.scalar(text(runs))


def test_a_tick_that_hangs_holds_up_no_other(engine, settings):
    make_jobs(engine)
    with transaction(engine) as tx:  # as if its account had always been there
        tx.execute(text("UPDATE accounts SET created_at = '2026-01-01'"))
    publisher = Publisher()
    scheduler = Scheduler(settings, engine=engine, publisher=publisher)
    scheduler.start()
    try:
        eventually(lambda: planned(engine))
        assert not publisher.sent
    finally:
        publisher.works.set()
        scheduler.stop()


def test_a_tick_that_fails_is_tried_again(engine, settings):
    make_jobs(engine)
    publisher = Publisher(error=BrokerConnectionError("away"))
    scheduler = Scheduler(settings, engine=engine, publisher=publisher)
    scheduler.start(plan=False)
    try:
        publisher.works.set()
        eventually(lambda: publisher.sent)
    finally:
        scheduler.stop()


def test_postgres_may_go_away_and_come_back_between_ticks_and_in_them(engine, settings):
    own = connect(settings.require_database_url(), application_name="to be killed")
    publisher = Publisher()
    publisher.works.set()
    scheduler = Scheduler(settings, engine=own, publisher=publisher)
    scheduler.start(plan=False)
    try:
        for _ in range(20):
            with transaction(engine) as tx:
                tx.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name = 'to be killed'"
                    )
                )
        make_jobs(engine)
        eventually(lambda: publisher.sent)
    finally:
        scheduler.stop()
        own.dispose()


def test_a_hanging_tick_does_not_keep_a_stopping_scheduler(engine, database_url):
    make_jobs(engine)
    process = subprocess.Popen(
        [sys.executable, "-c", HANGING, database_url], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == "hanging\n"

        process.send_signal(signal.SIGTERM)

        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_file_is_as_young_as_the_last_sign_of_life_that_postgres_took(engine, tmp_path):
    file = tmp_path / "heartbeat"

    heartbeat.beat(engine, file=file)
    file.unlink()
    gone = connect("postgresql://nobody@127.0.0.1:1/nowhere", application_name="t", pool_size=1)
    with pytest.raises(DBAPIError):
        heartbeat.beat(gone, file=file)

    assert not file.exists()
    heartbeat.beat(engine, file=file)
    assert file.exists()


def test_a_file_that_cannot_be_touched_is_told(engine, tmp_path):
    with pytest.raises(IfoodActorsError, match=r"IFOOD_HEARTBEAT_FILE: .*No such file"):
        heartbeat.beat(engine, file=tmp_path / "none/heartbeat")
