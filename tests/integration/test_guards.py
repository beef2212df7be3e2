"""Every act starts from the statuses of its transition and no others, whatever else is right."""

from datetime import timedelta
from itertools import product
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text
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
    values |= {"grace": LEASE, "jitter": timedelta(0), "error_code": "x", "detail": None}
    values |= {"act": ACTS[name].act, "actor": "test", "reason": "because"}
    with transaction(engine) as tx:
        put(tx, job.id, status, token=token)
        done = tx.execute(ACTS[name].sql, values).scalars().all()
        [event] = tx.execute(LAST_EVENT, {"id": job.id})

    transition = TRANSITIONS[name]
    assert done == ([job.id] if status in transition.sources else [])
    if done:
        assert tuple(event) == (transition.act, status, transition.target)


LAST_EVENT = text("""
    SELECT act, from_status, to_status FROM ifood_job_events WHERE job_id = :id
    ORDER BY event_no DESC LIMIT 1
""")


def put(tx: Connection, job_id: object, status: JobStatus, *, token: object) -> None:
    """Let a job be in a status, with the lease that a worker would name, as no trigger would."""
    wake = "NULL" if status in FINAL else "now()"
    tx.execute(text("SET LOCAL session_replication_role = replica"))
    tx.execute(
        text(f"""
            UPDATE ifood_jobs SET status = :status, wake_at = {wake}, lease_no = 7,
              claim_token = :token WHERE id = :id
        """),
        {"id": job_id, "status": status, "token": token},
    )
    tx.execute(
        text("UPDATE ifood_job_events SET to_status = :status WHERE job_id = :id"),
        {"id": job_id, "status": status},
    )
    tx.execute(text("SET LOCAL session_replication_role = origin"))
