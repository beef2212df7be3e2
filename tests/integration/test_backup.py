"""A backup of a fleet at work, restored by `scripts/restore_drill`, from which a fleet goes on."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import make_url, text
from support.clock import PATIENCE_SECONDS, eventually
from support.program import SCRIPTS
from support.world import KEY, MONDAY, stand_up

from ifood_actors.db import transaction
from ifood_actors.operator_acts import note
from ifood_actors.scheduler import relay
from ifood_simulator import Settings, running

pytestmark = pytest.mark.services

STORES = 12


@pytest.fixture
def drill(postgres_programs):
    def drill(backup: Path, url: str, *, key: str = KEY) -> subprocess.CompletedProcess[str]:
        folders = (Path(sys.executable).parent, postgres_programs, os.environ["PATH"])
        address = make_url(url)
        return subprocess.run(
            [SCRIPTS / "restore_drill", backup, str(address._replace(password=None))],
            env={
                "PATH": os.pathsep.join(map(str, folders)),
                "PGPASSWORD": address.password or "",
                "IFOOD_ENCRYPTION_KEYS": key,
            },
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    return drill


@pytest.fixture
def simulator():
    with running(Settings(merchants=STORES, today=MONDAY, latency_seconds=0.4)) as simulator:
        yield simulator


@pytest.fixture
def backup(tmp_path, postgres_programs, simulator, database_url, broker_url, monkeypatch):
    """Back up while jobs run, and let them end; what was stored in the end comes along."""
    # In a restored ledger are messages that nobody has any more: after it they are sent again.
    monkeypatch.setattr(relay, "GRACE", timedelta(seconds=5))
    path = tmp_path / "ifood.dump"
    with (
        stand_up(simulator, **services(database_url, broker_url)) as former,
        former.engine.connect() as holding,
    ):
        former.plan("sales")
        with transaction(former.engine) as tx:
            note(tx, "apps add", actor="cli maria@host")
        # So that a job is left to do in the backup, however long pg_dump takes to begin.
        holding.execute(text("SELECT FROM ifood_jobs LIMIT 1 FOR UPDATE"))
        with former.working(threads=2):
            eventually(lambda: ended(former) >= 2)
            subprocess.run(
                [postgres_programs / "pg_dump", "--format=custom", f"--file={path}", database_url],
                check=True,
            )
            holding.rollback()
            eventually(former.idle)
        yield path, stored(former)


def services(database_url, broker_url):
    return {"database_url": database_url, "broker_url": broker_url, "lease": "3s"}


def ended(world):
    return len(world.rows("SELECT FROM ifood_jobs WHERE status = 'success'"))


def stored(world):
    """Give the records, and who did what when: nobody may choose that, and a restore keeps it."""
    return (
        world.rows("SELECT merchant_id, sale_id, raw FROM ifood_sales ORDER BY 1, 2"),
        world.rows("SELECT at, login, actor, act FROM ifood_operator_acts"),
    )


def test_a_fleet_goes_on_from_a_restored_backup(
    drill, backup, simulator, empty_database_url, broker_url
):
    path, truth = backup

    done = drill(path, empty_database_url)

    assert done.returncode == 0, done.stderr
    assert "the schema is what the code expects" in done.stdout
    assert f"accounts      | {STORES}" in done.stdout
    with stand_up(simulator, **services(empty_database_url, broker_url)) as restored:
        assert 2 <= ended(restored) < STORES
        with restored.working():
            eventually(restored.idle)
        assert ended(restored) == STORES
        assert stored(restored) == truth


def test_a_backup_whose_key_is_lost_is_told(drill, backup, empty_database_url):
    path, _ = backup

    done = drill(path, empty_database_url, key=Fernet.generate_key().decode())

    assert done.returncode == 1
    assert "needs a key that IFOOD_ENCRYPTION_KEYS lacks" in done.stderr
    assert "last_act" in done.stdout


def test_a_backup_of_newer_programs_is_told_before_anything_is_restored(
    drill, tmp_path, empty_database_url
):
    newer = tmp_path / "newer.dump"
    newer.write_bytes(b"PGDMP\x01\x63\x00\x04\x08\x01")  # the archive's version, 1.99

    done = drill(newer, empty_database_url)

    assert done.returncode == 2
    assert done.stderr.startswith(f"{newer} cannot be read: unsupported version (1.99)")
    assert done.stderr.endswith("has to be at least as new as the pg_dump that made it\n")
    assert done.stderr.count("\n") == 1


def test_nothing_is_restored_over_what_is_there(drill, backup, database_url):
    path, _ = backup

    done = drill(path, database_url)

    assert done.returncode == 2
    assert done.stderr == "the database is not empty: nothing was restored\n"
