"""What looks at running jobs and lifelines conclude, and when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from ifood_actors.ledger.claim_tokens import draw_token, new_lifeline
from ifood_actors.ledger.holders import HeldJob
from ifood_actors.scheduler.deaths import ABSENT_FOR, Suspicions

LIFELINE = new_lifeline()
OTHER = new_lifeline()
LONG = ABSENT_FOR.total_seconds()
JOB = HeldJob(
    id=uuid4(),
    attempts=1,
    claim_token=draw_token(LIFELINE),
    lease_expires_at=datetime(2026, 9, 21, tzinfo=UTC),
    locked_by="worker host:1",
)
RENEWED = replace(JOB, lease_expires_at=JOB.lease_expires_at + timedelta(seconds=15))
CLAIMED_AGAIN = replace(JOB, claim_token=draw_token(LIFELINE))
OF_A_FORMER_RELEASE = replace(JOB, claim_token=uuid4())


def test_a_job_is_taken_when_its_lifeline_was_absent_for_long():
    suspicions = Suspicions()

    assert suspicions.compare([JOB], {OTHER}, at=0) == []
    assert suspicions.compare([JOB], {OTHER}, at=LONG - 0.1) == []
    assert suspicions.compare([JOB], {OTHER}, at=LONG) == [JOB]
    assert suspicions.compare([JOB], {OTHER}, at=LONG + 1) == [
        JOB
    ]  # who could not take it tries again


def test_one_tick_takes_nothing_however_late_it_is():
    assert Suspicions().compare([JOB], set(), at=10**6) == []


def test_a_lifeline_that_is_back_ends_the_suspicion():
    suspicions = Suspicions()
    suspicions.compare([JOB], set(), at=0)
    suspicions.compare([JOB], {LIFELINE}, at=1)

    assert suspicions.compare([JOB], set(), at=LONG) == []
    assert suspicions.compare([JOB], set(), at=2 * LONG) == [JOB]


def test_a_renewal_is_a_sign_of_life_without_a_lifeline():
    suspicions = Suspicions()
    suspicions.compare([JOB], set(), at=0)

    assert suspicions.compare([RENEWED], set(), at=LONG) == []
    assert suspicions.compare([RENEWED], set(), at=2 * LONG) == [RENEWED]


def test_another_claim_is_not_suspected_for_the_one_before():
    suspicions = Suspicions()
    suspicions.compare([JOB], set(), at=0)

    assert suspicions.compare([CLAIMED_AGAIN], set(), at=LONG) == []


def test_a_holder_that_never_showed_a_lifeline_is_left_to_its_lease():
    suspicions = Suspicions()

    for at in range(100):
        assert suspicions.compare([OF_A_FORMER_RELEASE], set(), at=at * LONG) == []
