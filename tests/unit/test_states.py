from dataclasses import replace
from itertools import product

import pytest
from support.transitions import ALLOWED

from ifood_actors.ledger.states import (
    FAILED,
    FINAL,
    PENDING,
    RUNNING,
    SUCCESS,
    TRANSITIONS,
    Act,
    JobStatus,
    checked,
)

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

    assert ((act, source, target) in ALLOWED) == (listed or by_hand)


def test_a_guard_names_the_sources_and_a_new_job_has_none():
    assert TRANSITIONS["requeue"].guard == "status IN ('failed', 'cancelled')"
    with pytest.raises(ValueError, match="plan starts from no status"):
        _ = TRANSITIONS["plan"].guard


def test_every_act_has_a_transition():
    assert {each.act for each in TRANSITIONS.values()} == set(Act)


def test_a_table_without_one_of_the_acts_is_refused():
    with pytest.raises(ValueError, match=r"without an arrow: cancel$"):
        checked({name: each for name, each in TRANSITIONS.items() if name != "cancel"})


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        ("snooze_unclaimed", {"sources": {RUNNING}}, "an arrow is there twice"),
        ("succeed", {"target": FAILED}, "no act leads to success$"),
        ("claim", {"sources": {FAILED}}, "no act leads to failed, running, success"),
        ("dispatch", {"sources": {SUCCESS}}, "an act leaves success"),
    ],
)
def test_a_table_that_is_no_state_machine_is_refused(name, change, complaint):
    with pytest.raises(ValueError, match=complaint):
        checked({**TRANSITIONS, name: replace(TRANSITIONS[name], **change)})


def test_a_table_in_which_a_running_job_stays_so_is_refused():
    stuck = {
        name: replace(each, sources=frozenset({PENDING})) if each.sources == {RUNNING} else each
        for name, each in TRANSITIONS.items()
        if name != "snooze"
    }

    with pytest.raises(ValueError, match=r"no act leads on from running$"):
        checked(stuck)


def test_only_a_person_leaves_a_success():
    leaving = {act for act, source, _ in ARROWS if source == "success"}

    assert not leaving
    assert JobStatus.SUCCESS in FINAL
