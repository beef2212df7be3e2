"""What a claim token tells of its holder's lifeline."""

from uuid import RFC_4122, UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.ledger.claim_tokens import draw_token, lifeline_of, new_lifeline


def test_a_token_names_the_lifeline_that_it_was_drawn_for():
    lifelines = {new_lifeline() for _ in range(200)}

    assert len(lifelines) == 200
    assert all(-(2**63) <= each < 2**63 for each in lifelines)
    assert {lifeline_of(draw_token(each)) for each in lifelines} == lifelines


def test_no_two_claims_of_one_process_have_the_same_token():
    lifeline = new_lifeline()

    assert len({draw_token(lifeline) for _ in range(200)}) == 200


@given(st.uuids())
def test_no_token_of_a_release_that_draws_random_ones_names_a_lifeline(any_uuid):
    random = UUID(int=any_uuid.int, version=4)

    assert lifeline_of(random) is None
    assert lifeline_of(uuid4()) is None
    assert lifeline_of(draw_token(None)) is None


def test_a_token_is_a_uuid_as_the_standard_has_it():
    token = draw_token(new_lifeline())

    assert (token.version, token.variant) == (8, RFC_4122)
