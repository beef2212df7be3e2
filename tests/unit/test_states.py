from itertools import product

import pytest

from ifood_actors.ledger.states import FINAL, TRANSITIONS, Act, JobStatus, allowed

# The table of the design, written out: whoever changes an arrow changes two places on purpose.
ARROWS = {
    ("plan", None, "pending"),
    ("dispatch", "pending", "pending"),
    ("claim", "pending", "running"),
    ("succeed", "running", "success"),
    ("retry", "running", "pending"),
    ("snooze", "running", "pending"),
    ("snooze", "pending", "pending"),
    ("fail", "running", "failed"),
    ("rescue", "running", "pending"),
    ("rescue", "running", "failed"),
    ("cancel", "pending", "cancelled"),
    ("requeue", "failed", "pending"),
    ("requeue", "cancelled", "pending"),
}
EVERY = list(product(Act, [None, *JobStatus], JobStatus))


@pytest.mark.parametrize(("act", "source", "target"), EVERY)
def test_exactly_the_listed_arrows_are_legal(act, source, target):
    listed = (act, source, target) in ARROWS
    by_hand = act is Act.MANUAL and source is not None

    assert allowed(act, source, target) == (listed or by_hand)


def test_every_act_has_a_transition():
    assert set(TRANSITIONS) == set(Act)


def test_only_a_person_leaves_a_success():
    leaving = {act for act, source, _ in ARROWS if source == "success"}

    assert not leaving
    assert JobStatus.SUCCESS in FINAL
