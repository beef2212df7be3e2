"""Every act starts from the statuses of its transition and no others, whatever else is right."""

from datetime import timedelta
from itertools import product
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from support.rows import LEASE, make_jobs

from ifood_actors.db import transaction
from ifood_actors.ledger import statements
from ifood_actors.ledger.states import FINAL, TRANSITIONS, JobStatus

pytestmark = pytest.mark.services

ACTS = {
    name.lower(): statement
    for name, statement in vars(statements).items()
    if isinstance(statement, statements.ActStatement)
}


def test_every_arrow_has_the_one_statement_of_its_act():
    by_name = {
        name: TRANSITIONS[name].act for name in TRANSITIONS if name not in ("plan", "manual")
    }

    assert {name: each.act for name, each in ACTS.items()} == by_name


@pytest.mark.parametrize(("name", "status"), list(product(ACTS, JobStatus)))
def test_an_act_is_done_in_the_statuses_of_its_transition_alone(engine, name, status):
    [job] = make_jobs(engine)
    token = uuid4()
    values = {"id": job.id, "ids": [job.id], "lease_no": 7, "claim_token": token, "after": LEASE}
    values |= {"grace": LEASE, "jitter": timedelta(0), "error_code": "x", "dispatch_nos": [1]}
    values |= {"claim_tokens": [token]}
    with transaction(engine) as tx:
        put(tx, job.id, status, token=token)
        done = do(tx, ACTS[name], **values)
        [event] = tx.execute(LAST_EVENT, {"id": job.id})

    transition = TRANSITIONS[name]
    assert done == ([job.id] if status in transition.sources else [])
    if done:
        assert tuple(event) == (transition.act, status, transition.target)


def do(tx: Connection, act: statements.ActStatement, **values: object) -> list[object]:
    """Give the ids of the jobs that were changed: none as well where the fence is lost."""
    bound = act.bound("test", reason="because", **values)
    try:
        with tx.begin_nested():
            return list(tx.execute(act.sql, bound).scalars())
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != statements.LEASE_LOST:
            raise
        return []


LAST_EVENT = text("""
    SELECT act, from_status, to_status FROM ifood_job_events WHERE job_id = :id
    ORDER BY event_no DESC LIMIT 1
""")


def put(tx: Connection, job_id: object, status: JobStatus, *, token: object) -> None:
    """Let a job be sent and in a status, with the lease that a worker would name."""
    wake = "NULL" if status in FINAL else "now()"
    tx.execute(text("SET LOCAL session_replication_role = replica"))
    tx.execute(
        text(f"""
            UPDATE ifood_jobs SET status = :status, wake_at = {wake}, lease_no = 7,
              claim_token = :token, dispatch_no = 1, dispatched_at = now(),
              scheduled_for = now() - INTERVAL '1 minute' WHERE id = :id
        """),
        {"id": job_id, "status": status, "token": token},
    )
    tx.execute(
        text("UPDATE ifood_job_events SET to_status = :status WHERE job_id = :id"),
        {"id": job_id, "status": status},
    )
    tx.execute(text("SET LOCAL session_replication_role = origin"))
