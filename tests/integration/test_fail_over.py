"""A primary that dies and a standby that is promoted, behind a URL that names both."""

from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import make_url, text
from support.clock import eventually
from support.world import MONDAY, owned_database, stand_up

from ifood_actors.db import connect, repeated, require_reachable, transaction
from ifood_actors.embedded.postgres import PrivatePostgres
from ifood_actors.errors import ServiceUnavailable
from ifood_actors.scheduler import relay
from ifood_simulator import Settings, running

pytestmark = pytest.mark.services


class Standby(PrivatePostgres):
    """A copy that follows its primary; it has the same users and passwords."""

    def __init__(self, primary, basebackup):
        super().__init__()
        self.primary, self.basebackup = primary, basebackup
        self._password = make_url(primary.url).password or ""

    def _create(self):
        data = self._folder.make_folder("data")
        self._folder.make_folder(self.sockets.name)
        options = ["--checkpoint=fast", "--write-recovery-conf", f"--pgdata={data}"]
        command = [self.basebackup, f"--dbname={self.primary.url}", *options]
        self._folder.run(command, env={"LC_ALL": "C"}, within=timedelta(minutes=2))

    def promote(self):
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")


@pytest.fixture
def pair(postgres_programs):
    with PrivatePostgres() as primary:
        own, _ = owned_database(primary, "ledger")
        with Standby(primary, postgres_programs / "pg_basebackup") as standby:
            hosts = f"127.0.0.1:{standby.port},127.0.0.1:{primary.port}"
            login = own.removeprefix("postgresql://").partition("@")[0]
            url = f"postgresql://{login}@{hosts}/ledger?target_session_attrs=read-write"
            yield primary, standby, url


def port_of(tx):
    return tx.scalar(text("SELECT inet_server_port()"))


def test_the_server_that_writes_is_found_before_and_after_a_fail_over(pair):
    primary, standby, url = pair
    engine = connect(url, application_name="tests")
    with transaction(engine) as tx:
        assert port_of(tx) == primary.port

    primary.kill()
    anew = connect(url, application_name="tests")
    with pytest.raises(ServiceUnavailable, match=f"127.0.0.1:{standby.port},127.0.0.1:"):
        require_reachable(anew)
    standby.promote()

    assert repeated(engine, port_of) == standby.port
    engine.dispose()


def test_a_fleet_goes_on_with_the_promoted_standby(pair, broker_url, monkeypatch):
    monkeypatch.setattr(relay, "GRACE", timedelta(seconds=3))
    primary, standby, url = pair
    with (
        running(Settings(merchants=30, today=MONDAY, latency_seconds=0.2)) as simulator,
        stand_up(simulator, database_url=url, broker_url=broker_url, lease="3s") as here,
        here.working(),
    ):
        here.plan("sales")
        eventually(lambda: succeeded(here) > 5)
        primary.kill()
        standby.promote()
        eventually(lambda: repeated(here.engine, unfinished) == 0)
        ended = here.rows("SELECT status, count(*) AS jobs FROM ifood_jobs GROUP BY status")

    assert ended == [{"status": "success", "jobs": 30}]


def succeeded(here):
    return len(here.rows("SELECT FROM ifood_jobs WHERE status = 'success'"))


def unfinished(tx):
    return tx.scalar(text("SELECT count(*) FROM ifood_jobs WHERE status IN ('pending', 'running')"))
