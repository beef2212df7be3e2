import pytest
from integration.simulator.asking import (
    BOOKSHOP,
    CALCULATION,
    CENTRAL,
    MODULELESS,
    SETTINGS,
    TODAY,
    WEEK,
    ask_token,
    authorize,
    credentials,
    error_text,
    get,
    store,
    truth,
)

from ifood_simulator import Fault


def test_a_centralised_token_opens_all_stores_of_its_application(simulator, client):
    visible = {row["id"] for row in client.get("/merchant/v1.0/merchants").json()}

    mine = {m.id for m in simulator.merchants() if m.app == CENTRAL and not m.revoked}
    assert visible == mine


@pytest.mark.parametrize(
    ("form", "status", "text"),
    [
        ({}, 400, "Invalid grant type null"),
        ({"grantType": "client_credentials"}, 400, "Missing required parameter clientId"),
        ({"grant_type": "client_credentials", "client_id": "x"}, 400, "Invalid grant type null"),
        (credentials(CENTRAL, clientId="short"), 400, "Invalid parameter clientId"),
        (credentials(CENTRAL, clientSecret="wrong"), 401, "Bad credentials"),
        (credentials(CENTRAL, clientId="d" * 36), 401, "Bad credentials"),
        (credentials(CENTRAL, grantType="password"), 400, "Invalid grant type password"),
        (credentials(BOOKSHOP), 400, "Grant type not authorized for client"),
        (
            credentials(BOOKSHOP, grantType="refresh_token", refreshToken="unknown"),
            401,
            "Invalid refresh token",
        ),
    ],
)
def test_the_token_endpoint_refuses(client, form, status, text):
    answer = ask_token(client, form)

    assert (answer.status_code, error_text(answer)) == (status, text)


def test_unused_fields_may_be_sent_empty(client):
    form = credentials(CENTRAL, refreshToken="", authorizationCode="")

    assert ask_token(client, form).status_code == 200


def test_a_token_has_the_size_of_the_settings(client):
    token = ask_token(client, credentials(CENTRAL)).json()["accessToken"]

    assert len(token) == SETTINGS.token_size
    assert token.count(".") == 2


def test_the_user_code_flow_opens_the_confirmed_stores_only(simulator, client):
    mine = [m for m in simulator.merchants() if m.app == BOOKSHOP and not m.revoked]
    started = client.post(
        "/authentication/v1.0/oauth/userCode", data={"clientId": BOOKSHOP.client_id}
    ).json()
    code = simulator.authorize(started["userCode"], frozenset({mine[0].id}))

    form = credentials(
        BOOKSHOP,
        grantType="authorization_code",
        authorizationCode=code,
        authorizationCodeVerifier=started["authorizationCodeVerifier"],
    )
    tokens = authorize(client, form)

    assert get(client, mine[0], "sales", **WEEK).status_code != 403
    assert get(client, mine[1], "sales", **WEEK).status_code == 403
    assert ask_token(client, form).status_code == 401, "a code works once"
    renewal = credentials(BOOKSHOP, grantType="refresh_token", refreshToken=tokens["refreshToken"])
    assert ask_token(client, renewal).json()["refreshToken"] != tokens["refreshToken"]
    used = ask_token(client, renewal)
    assert (used.status_code, error_text(used)) == (401, "Invalid refresh token")


def test_the_owner_confirms_on_the_linked_page(client):
    form = {"clientId": BOOKSHOP.client_id}
    started = client.post("/authentication/v1.0/oauth/userCode", data=form).json()

    page = client.get(started["verificationUrlComplete"])

    assert page.status_code == 200
    assert "Authorisation code" in page.text
    refused = client.post(
        "/authentication/v1.0/oauth/userCode", data={"clientId": CENTRAL.client_id}
    )
    assert error_text(refused) == "Grant type not authorized for client"


def test_no_token_a_wrong_one_and_an_expired_one_are_401(simulator, client):
    merchant = store(simulator)
    simulator.add_fault(Fault("expired_token", times=1))

    first = get(client, merchant, "sales", **WEEK)
    again = get(client, merchant, "sales", **WEEK)

    assert (first.status_code, again.status_code) == (401, 401), "the token is void"
    client.headers["Authorization"] = "Bearer invented"
    assert get(client, merchant, "sales", **WEEK).status_code == 401
    del client.headers["Authorization"]
    assert get(client, merchant, "sales", **WEEK).status_code == 401
    authorize(client, credentials(CENTRAL))
    assert get(client, merchant, "sales", **WEEK).status_code == 200


def test_both_ways_of_403(simulator, client):
    merchant = next(m for m in simulator.merchants() if m.app == BOOKSHOP)
    foreign = get(client, merchant, "sales", **WEEK)
    authorize(client, credentials(MODULELESS))
    own = next(m for m in simulator.merchants() if m.app == MODULELESS)
    moduleless = get(client, own, "sales", **WEEK)

    assert foreign.json() == {"message": "user is forbidden to access merchant"}
    assert moduleless.json() == {"message": "ifood-kong-validate-headers-plugin: forbidden"}
    assert (foreign.status_code, moduleless.status_code) == (403, 403)


def test_a_revoked_store_is_403_and_has_no_truth(simulator, client):
    merchant = next(m for m in simulator.merchants() if m.app == CENTRAL and m.revoked)

    answer = get(client, merchant, "settlements", **CALCULATION)

    assert answer.status_code == 403
    assert truth(simulator, "settlements", merchant) == []
    lines = simulator.truth_summary("sales", TODAY, TODAY)
    assert {"merchant": merchant.id, "revoked": True} in lines
