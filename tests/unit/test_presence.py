from uuid import uuid4

import pytest
from support.rows import M, N

from ifood_actors.accounts.presence import PRESENCE_MEANINGS, Presence, presence_of
from ifood_actors.accounts.sheet import Entry

MARIA, JOAO = uuid4(), uuid4()


def account(merchant_id=M, *, app="north"):
    return Entry("A", merchant_id, "America/Sao_Paulo", 0, active=True, app=app)


@pytest.mark.parametrize(
    ("asked", "authorization_id", "opened", "found"),
    [
        (account(), None, {None: {M, N}}, Presence.OURS),
        (account(), None, {None: {N}}, Presence.NOT_LISTED),
        # A centralised application reads all with its own token, whatever was linked before.
        (account(), MARIA, {None: {M}}, Presence.OURS),
        (account(), MARIA, {None: set()}, Presence.NOT_LISTED),
        (account(), MARIA, {MARIA: {M}, JOAO: {N}}, Presence.OURS),
        (account(), MARIA, {MARIA: {N}, JOAO: {M}}, Presence.OTHER_AUTHORIZATION),
        (account(), None, {JOAO: {M}}, Presence.OTHER_AUTHORIZATION),
        (account(), MARIA, {MARIA: {N}}, Presence.NOT_LISTED),
        (account(), MARIA, {JOAO: {N}}, Presence.NOT_ASKED),  # of Maria's, nobody answered
        (account(), None, {JOAO: {N}}, Presence.NO_AUTHORIZATION),
        (account(), None, {}, Presence.NO_AUTHORIZATION),
        (account(), MARIA, None, Presence.NOT_ASKED),
        (account(app=None), None, None, Presence.NO_APPLICATION),
        (account("4078865"), None, {None: {"4078865"}}, Presence.NO_MERCHANT_ID),
        (account(M.upper()), None, {None: {M}}, Presence.OTHER_SPELLING),
    ],
)
def test_an_account_is_ours_if_what_reads_it_opens_its_store(
    asked, authorization_id, opened, found
):
    assert presence_of(asked, authorization_id, opened) is found


def test_everything_but_ours_has_a_meaning():
    assert set(PRESENCE_MEANINGS) == set(Presence) - {Presence.OURS}
