import pytest

from ifood_simulator.oauth import Grants, OAuthError
from ifood_simulator.settings import App, Settings

APP = App(client_id="b" * 36, client_secret="s", kind="distributed")
OTHER = App(name="other", client_id="c" * 36, client_secret="s", kind="distributed")


@pytest.fixture
def grants() -> Grants:
    return Grants(Settings(apps=(APP, OTHER), token_seconds=100, refresh_token_seconds=1_000))


def form(grant_type: str, app: App = APP, **fields: str) -> dict[str, str]:
    secrets = {"clientId": app.client_id, "clientSecret": app.client_secret}
    return {"grantType": grant_type} | secrets | fields


def linked(grants: Grants) -> dict[str, str]:
    """The form that redeems a code confirmed at 0 s."""
    started = grants.user_code({"clientId": APP.client_id}, at=0)
    code = grants.authorize(str(started["userCode"]), frozenset({"m"}), at=0)
    verifier = str(started["authorizationCodeVerifier"])
    return form("authorization_code", authorizationCode=code, authorizationCodeVerifier=verifier)


@pytest.mark.parametrize(
    ("change", "at", "status"),
    [
        ({}, 299, None),
        ({}, 300, 401),
        ({"authorizationCode": "other"}, 0, 401),
        ({"authorizationCodeVerifier": "other"}, 0, 401),
        ({"authorizationCodeVerifier": ""}, 0, 400),
        ({"clientId": OTHER.client_id}, 0, 401),
    ],
)
def test_a_code_is_redeemed_by_its_own_application_in_time(grants, change, at, status):
    wanted = linked(grants) | change

    if status is None:
        assert grants.token(wanted, at=at)["refreshToken"]
        return
    with pytest.raises(OAuthError) as refused:
        grants.token(wanted, at=at)
    assert refused.value.status == status


def test_a_user_code_cannot_be_confirmed_after_ten_minutes(grants):
    started = grants.user_code({"clientId": APP.client_id}, at=0)

    with pytest.raises(OAuthError, match="Invalid user code"):
        grants.authorize(str(started["userCode"]), frozenset(), at=600)


def test_an_access_token_ends_after_its_lifetime(grants):
    token = str(grants.token(linked(grants), at=5)["accessToken"])

    grant = grants.grant(token)

    assert grant is not None
    assert grant.expires_at == 105
    assert grant.sees("m", APP)
    assert not grant.sees("n", APP)
    assert not grant.sees("m", OTHER)


@pytest.mark.parametrize("at", [1_000, 5_000])
def test_a_refresh_token_ends_after_its_lifetime(grants, at):
    refresh = str(grants.token(linked(grants), at=0)["refreshToken"])

    with pytest.raises(OAuthError, match="Invalid refresh token"):
        grants.token(form("refresh_token", refreshToken=refresh), at=at)


def test_a_refresh_token_is_refused_to_another_application_and_kept(grants):
    refresh = str(grants.token(linked(grants), at=0)["refreshToken"])

    with pytest.raises(OAuthError, match="Invalid refresh token"):
        grants.token(form("refresh_token", OTHER, refreshToken=refresh), at=1)

    assert grants.token(form("refresh_token", refreshToken=refresh), at=2)["accessToken"]


def test_a_refresh_without_its_token_is_a_bad_request(grants):
    with pytest.raises(OAuthError, match="Missing required parameter refreshToken"):
        grants.token(form("refresh_token"), at=0)
