"""Postgres restarts, dies, kills backends, refuses to serialize or to write, and is far away."""

import shutil
import subprocess
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from time import time

import pytest
from chaos.hosts import LEASE
from chaos.invariants import check
from chaos.proxy import Mode
from sqlalchemy import make_url, text
from support.clock import eventually

from ifood_simulator import Fault

BACK = 15.0  # seconds from Postgres' return to the first claim (design, section 7)
TAKEN_OVER = 90.0 - 60.0 + LEASE.total_seconds()  # design: within 90 s, with a lease of 60
SLOWED = 90.0  # for all jobs, each of which has some twenty round trips


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_postgres_goes_down_under_load(chaos, recovery, how):
    chaos.simulator.add_fault(Fault("slow", seconds=0.3))
    chaos.plan(over=timedelta(seconds=4))
    eventually(lambda: chaos.count("success") >= 3)
    (chaos.postgres.kill if how == "killed" else chaos.postgres.stop)()
    chaos.engine.dispose()
    Event().wait(1)

    back = time()
    chaos.postgres.start()
    recovery.begin()
    recovery.until(lambda: chaos.claims(since=back), figure=BACK)
    chaos.finish()

    check(chaos)


def test_backends_are_killed_twice_a_second(chaos, recovery):
    chaos.plan(over=timedelta(seconds=4))
    for _ in range(8):
        Event().wait(0.5)
        _terminate(chaos)
    recovery.begin()
    recovery.until(chaos.idle, figure=TAKEN_OVER)

    check(chaos)


def test_transactions_fail_to_serialize(chaos, recovery):
    """Postgres itself raises 40001 when everybody is serializable and meets in the same rows."""
    with _altered(chaos, "default_transaction_isolation", "serializable"):
        chaos.plan()
        recovery.begin()
        recovery.until(chaos.idle, figure=TAKEN_OVER)

        check(chaos)


def test_no_connection_is_left(chaos, recovery):
    _alter(chaos, "CONNECTION LIMIT 1")
    _terminate(chaos)
    chaos.plan()
    Event().wait(3)

    back = time()
    _alter(chaos, "CONNECTION LIMIT -1")
    recovery.begin()
    recovery.until(lambda: chaos.claims(since=back), figure=BACK)
    chaos.finish()

    check(chaos)


def test_a_fail_over_leaves_a_server_that_only_reads(chaos, recovery):
    chaos.plan(over=timedelta(seconds=6))
    eventually(lambda: chaos.count("success") > 0)
    with _altered(chaos, "default_transaction_read_only", "on"):
        Event().wait(3)
        back = time()
    recovery.begin()
    recovery.until(lambda: chaos.claims(since=back), figure=BACK)
    chaos.finish()

    check(chaos)


def test_a_disk_of_postgres_is_full(chaos, recovery):
    with _history_on_a_small_disk(chaos) as disk:
        chaos.plan(over=timedelta(seconds=4))
        eventually(lambda: chaos.count("success") > 0)
        with _full(disk):
            eventually(lambda: _log(chaos).count("No space left on device") > 5)
            assert not chaos.idle()
        recovery.begin()
        recovery.until(chaos.idle, figure=TAKEN_OVER)

        check(chaos)


def test_every_round_trip_takes_a_tenth_of_a_second(chaos, recovery):
    for proxy in chaos.proxies("database"):
        proxy.delay = 0.05
    chaos.plan()
    recovery.begin()
    recovery.until(chaos.idle, figure=SLOWED)

    check(chaos, once=True)


def test_postgres_holds_its_answers_for_longer_than_a_lease(chaos, recovery):
    chaos.simulator.add_fault(Fault("slow", seconds=0.3))
    chaos.plan(over=timedelta(seconds=4))
    eventually(lambda: chaos.count("running") > 0)
    chaos.set(Mode.HOLD, "database", "worker")
    Event().wait(5)
    chaos.set(Mode.PASS, "database", "worker")
    recovery.begin()
    recovery.until(chaos.idle, figure=TAKEN_OVER)

    check(chaos, frozen=True)


@contextmanager
def _history_on_a_small_disk(chaos):
    """Keep the job events, without a free byte within their pages, on a file system of 64 MB."""
    disk = chaos.postgres.folder / "disk"
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", disk]
    if subprocess.run(mounted, check=False).returncode:
        pytest.skip("only root can mount a file system")
    shutil.chown(disk, (chaos.postgres.folder / "data").owner())
    no_transaction = chaos.engine.execution_options(isolation_level="AUTOCOMMIT")
    try:
        with no_transaction.connect() as postgres:
            postgres.execute(text(f"CREATE TABLESPACE small LOCATION '{disk}'"))
            postgres.execute(text("ALTER TABLE ifood_job_events SET TABLESPACE small"))
            postgres.execute(text("VACUUM FULL ifood_job_events"))
        yield disk
    finally:
        with no_transaction.connect() as postgres:
            postgres.execute(text("ALTER TABLE ifood_job_events SET TABLESPACE pg_default"))
            postgres.execute(text("DROP TABLESPACE IF EXISTS small"))
        subprocess.run(["umount", "--lazy", disk], check=True)  # noqa: S607
        disk.rmdir()


@contextmanager
def _full(disk):
    rest = disk / "rest"
    try:
        with (
            Path("/dev/zero").open("rb") as zeros,
            rest.open("wb", buffering=0) as file,
            pytest.raises(OSError, match="No space left on device"),
        ):
            shutil.copyfileobj(zeros, file)
        yield
    finally:
        rest.unlink()


def _log(chaos):
    return (chaos.postgres.folder / "log").read_text()


@contextmanager
def _altered(chaos, setting, value):
    """Set it for every new connection, and end the old ones; the old way stays on those since."""
    _alter(chaos, f"SET {setting} = '{value}'")
    _terminate(chaos)
    try:
        yield
    finally:
        _alter(chaos, f"RESET {setting}")


def _alter(chaos, change):
    name = make_url(chaos.database_url).database
    chaos.write(f'SET default_transaction_read_only = off; ALTER DATABASE "{name}" {change}')


def _terminate(chaos):
    chaos.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name <> 'chaos'"
    )
