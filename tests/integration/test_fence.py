"""A claim that Postgres forgets in a crash: its lease number is given out twice."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from support.rows import LEASE, dispatch, make_jobs, must_claim, row_of
from support.world import owned_database

from ifood_actors.db import connect, repeated, transaction
from ifood_actors.embedded.postgres import PrivatePostgres
from ifood_actors.errors import LeaseLost
from ifood_actors.ledger import JobResult, Ledger

pytestmark = pytest.mark.services

SECOND = timedelta(seconds=1)
SETTLING: dict[str, dict[str, Any]] = {
    "succeed": {"result": JobResult(rows=1)},
    "retry": {"after": SECOND, "error_code": "x", "reason": "x"},
    "snooze": {"after": SECOND, "reason": "x"},
    "fail": {"error_code": "x", "reason": "x"},
}


@pytest.fixture(scope="module")
def forgetful():
    """Lend a server that tells of a commit some seconds before it is on disk."""
    with PrivatePostgres() as server:
        own, admin = owned_database(server, "forgetful")
        superuser = connect(admin, application_name="tests")
        with superuser.execution_options(isolation_level="AUTOCOMMIT").connect() as postgres:
            postgres.execute(text("ALTER SYSTEM SET wal_writer_delay = '10s'"))
            postgres.execute(text("SELECT pg_reload_conf()"))
            postgres.execute(text("ALTER ROLE forgetful SET synchronous_commit = off"))
        engine = connect(own, application_name="tests")
        yield server, engine, superuser
        superuser.dispose()
        engine.dispose()


@pytest.fixture
def twice_claimed(forgetful):
    """Give a forgotten claim, and the next holder's of the same job, with the same number."""
    server, engine, superuser = forgetful
    [planned] = make_jobs(engine)
    dispatch(engine, planned.id)
    with superuser.execution_options(isolation_level="AUTOCOMMIT").connect() as postgres:
        postgres.execute(text("CHECKPOINT"))
    former = must_claim(engine, planned.id)
    server.kill()
    server.start()
    superuser.dispose()
    assert repeated(engine, lambda tx: tx.scalar(text("SELECT 1"))) == 1
    assert row_of(engine, planned.id)["status"] == "pending"  # the claim is forgotten

    current = must_claim(engine, planned.id)
    assert former.lease_no == current.lease_no
    return engine, former, current


@pytest.mark.parametrize("act", SETTLING)
def test_the_holder_of_a_forgotten_claim_settles_nothing(twice_claimed, act):
    engine, former, current = twice_claimed

    with pytest.raises(LeaseLost), transaction(engine) as tx:
        getattr(Ledger(tx, actor="worker"), act)(former, **SETTLING[act])

    with transaction(engine) as tx:
        getattr(Ledger(tx, actor="worker"), act)(current, **SETTLING[act])


def test_the_holder_of_a_forgotten_claim_renews_nothing(twice_claimed):
    engine, former, current = twice_claimed

    with transaction(engine) as tx:
        held = Ledger(tx, actor="worker").renew([former, current], lease=LEASE)

    assert held == {current.claim_token}
