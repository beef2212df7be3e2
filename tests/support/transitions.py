"""The arrows of the state machine, as a set to look one up in."""

from ifood_actors.ledger.states import TRANSITIONS

ALLOWED = {(each.act, *arrow) for each in TRANSITIONS.values() for arrow in each.arrows}
