"""What a job hears of its lease when it shows a sign of life."""

from datetime import date, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import create_engine

from ifood_actors.delivery.leases import Leases
from ifood_actors.errors import Throttled
from ifood_actors.ledger import ClaimedJob

DAY = date(2026, 9, 21)
JOB = ClaimedJob(
    id=uuid4(),
    kind="sales",
    account_id=uuid4(),
    merchant_id="m",
    app_id=None,
    authorization_id=None,
    timezone="UTC",
    job_day=DAY,
    period_start=DAY,
    period_end=DAY,
    attempts=1,
    lease_no=1,
    claim_token=uuid4(),
    late=timedelta(0),
)


def test_a_job_that_started_while_its_worker_stopped_ends_uncharged():
    engine = create_engine("postgresql+psycopg://127.0.0.1:1/nowhere")
    leases = Leases(engine, length=timedelta(minutes=1), actor="test")
    leases.stop()

    with leases.hold(JOB) as lease, pytest.raises(Throttled) as raised:
        lease.note_progress()

    assert raised.value.after == timedelta(0)
