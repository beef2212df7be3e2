"""The token endpoint: what is sent, and what each answer means."""

import json
from datetime import timedelta
from functools import partial
from urllib.parse import parse_qs, urlencode

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.api import CUT, OF_A_GATEWAY

from ifood_actors.errors import (
    CredentialsRefused,
    GatewayFault,
    JobError,
    NeedsAuthorization,
    Rejected,
    SchemaBroken,
    ServerFault,
    Throttled,
)
from ifood_actors.ifood.http import AppCredentials
from ifood_actors.ifood.http.token_requests import (
    Grant,
    redeem_code,
    request_token,
    request_user_code,
)
from ifood_actors.ifood.http.transport import http_client
from ifood_actors.ifood.tokens.store import fresh_for

CREDENTIALS = AppCredentials("client", "the-secret")


def answering(response: httpx.Response, seen: list[httpx.Request] | None = None) -> httpx.Client:
    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        return response

    return http_client(threads=1, transport=httpx.MockTransport(answer))


def ask(
    response: httpx.Response,
    seen: list[httpx.Request] | None = None,
    *,
    refresh_token: str | None = None,
) -> Grant:
    return request_token(
        CREDENTIALS, refresh_token, http=answering(response, seen), base_url="https://ifood.test/"
    )


def test_the_form_is_in_camel_case():
    seen: list[httpx.Request] = []

    ask(httpx.Response(200, json={"accessToken": "abc", "expiresIn": 60}), seen)

    assert str(seen[0].url) == "https://ifood.test/authentication/v1.0/oauth/token"
    assert parse_qs(seen[0].content.decode()) == {
        "grantType": ["client_credentials"],
        "clientId": ["client"],
        "clientSecret": ["the-secret"],
    }


def test_a_token_of_8000_characters_is_taken_with_its_own_lifetime():
    grant = ask(httpx.Response(200, json={"accessToken": "a" * 8000, "expiresIn": 21_600}))

    assert len(grant.access_token) == 8000
    assert grant.lifetime == timedelta(hours=6)


REFUSALS = [
    (400, CredentialsRefused),
    (401, CredentialsRefused),
    (403, CredentialsRefused),
    (404, Rejected),
    (429, Throttled),
    (302, ServerFault),
    (500, ServerFault),
    (503, ServerFault),
]


@pytest.mark.parametrize(("status", "error"), REFUSALS)
def test_a_refusal_says_what_to_do(status, error):
    with pytest.raises(error):
        ask(httpx.Response(status, json={"error": {"message": "Bad credentials"}}))


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 409, 500, 503])
@pytest.mark.parametrize("body", [*OF_A_GATEWAY, b"<title>Invalid refresh token</title>"])
@pytest.mark.parametrize(
    "door",
    [
        ask,
        partial(ask, refresh_token="still-good"),
        lambda response: redeem_code(
            CREDENTIALS, "code", verifier="v", http=answering(response), base_url="https://i.test"
        ),
        lambda response: request_user_code(
            "client", http=answering(response), base_url="https://i.test"
        ),
    ],
    ids=["client credentials", "refresh token", "owner's code", "user code"],
)
def test_a_gateway_refuses_neither_credentials_nor_tokens(door, status, body):
    with pytest.raises(GatewayFault):
        door(httpx.Response(status, content=body))


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("body", CUT)
def test_a_refusal_that_was_cut_refuses_nothing(status, body):
    with pytest.raises(ServerFault):
        ask(httpx.Response(status, content=body), refresh_token="still-good")


UNUSABLE = [
    {},
    [],
    {"accessToken": "abc"},
    {"accessToken": "", "expiresIn": 60},
    {"accessToken": "a\r\nX-Header: b", "expiresIn": 60},
    {"accessToken": "naïve", "expiresIn": 60},
    {"accessToken": "abc", "expiresIn": 0},
    {"accessToken": "abc", "expiresIn": -1},
    {"accessToken": "abc", "expiresIn": "soon"},
    {"accessToken": 7, "expiresIn": 60},
    {"accessToken": "abc" * 6_000, "expiresIn": 60},
]


@pytest.mark.parametrize("body", UNUSABLE)
def test_a_token_that_cannot_be_used_is_refused_without_being_shown(body):
    with pytest.raises(SchemaBroken) as raised:
        ask(httpx.Response(200, json=body))

    assert "abc" not in str(raised.value)


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 226, 299])
def test_any_2xx_that_holds_a_grant_is_one(status):
    grant = ask(httpx.Response(status, json=PAIR), refresh_token="spent")

    assert grant == Grant("abc", timedelta(hours=3), "next")


@pytest.mark.parametrize("status", [201, 202])
def test_a_user_code_comes_with_any_2xx(status):
    answer = {"userCode": "HJLX-LPSQ", "authorizationCodeVerifier": "verifier"}

    started = request_user_code(
        "client", http=answering(httpx.Response(status, json=answer)), base_url="https://i.test"
    )

    assert started.code == "HJLX-LPSQ"


TOKENS = {
    "accessToken": "eyJhbGciOiJSUzUxMiJ9.access.c2lnbmF0dXJl",
    "refreshToken": "0/refresh+token=of:an_owner",
}
SPELLED_TOKENS = [
    json.dumps(TOKENS),
    json.dumps(TOKENS)[:-3],
    json.dumps([TOKENS]),
    json.dumps({"message": json.dumps(TOKENS)}),
    json.dumps({"error": {"message": urlencode(TOKENS)}}),
    json.dumps(TOKENS | {"accessToken": 7, "expiresIn": 60}),
    json.dumps(TOKENS | {"more": "x" * 5_000}),
    json.dumps(TOKENS).replace("}", ', "expiresIn": NaN}').replace("eyJ", "\n"),
    urlencode(TOKENS),
    f"<html><title>{TOKENS['refreshToken']}</title></html>",
    TOKENS["refreshToken"],
]


@given(
    status=st.integers(200, 399),
    body=st.sampled_from(SPELLED_TOKENS),
    cut=st.integers(0, 400),
    door=st.sampled_from(["token", "user code"]),
)
def test_no_body_of_an_oauth_answer_below_400_is_in_any_message(status, body, cut, door):
    response = httpx.Response(status, content=body[: len(body) - cut].encode())

    try:
        if door == "token":
            ask(response, refresh_token="spent")
        else:
            request_user_code("client", http=answering(response), base_url="https://i.test")
        told = ""
    except JobError as error:
        told = str(error)

    shown = body.replace("accessToken", "").replace("refreshToken", "")
    assert not any(told[at : at + 8] in shown for at in range(len(told) - 7))


def test_an_endless_lifetime_is_cut_to_a_day():
    grant = ask(httpx.Response(200, json={"accessToken": "abc", "expiresIn": 10**30}))

    assert grant.lifetime == timedelta(days=1)


def test_secrets_are_in_no_text():
    grant = ask(httpx.Response(200, json={"accessToken": "abc", "expiresIn": 60}))

    with pytest.raises(CredentialsRefused) as raised:
        ask(httpx.Response(401, json={"message": "the-secret is wrong"}))

    assert "the-secret" not in f"{CREDENTIALS!r} {raised.value}"
    assert "abc" not in repr(grant)


@pytest.mark.parametrize(
    ("lifetime_s", "fresh_s"),
    [(21_600, 20_520), (10_800, 10_260), (1_200, 1_140), (600, 540), (100, 50), (4, 2)],
)
def test_a_token_is_renewed_before_its_end(lifetime_s, fresh_s):
    assert fresh_for(timedelta(seconds=lifetime_s)) == timedelta(seconds=fresh_s)


def form_of(request: httpx.Request) -> dict[str, list[str]]:
    return parse_qs(request.content.decode())


PAIR = {"accessToken": "abc", "refreshToken": "next", "expiresIn": 10_800}


def test_a_refresh_token_is_sent_and_its_successor_taken():
    seen: list[httpx.Request] = []

    grant = ask(httpx.Response(200, json=PAIR), seen, refresh_token="spent")

    assert grant == Grant("abc", timedelta(hours=3), "next")
    assert form_of(seen[0])["grantType"] == ["refresh_token"]
    assert form_of(seen[0])["refreshToken"] == ["spent"]


@pytest.mark.parametrize("expires_in", [None, 0, -1, "soon", {}])
def test_a_refresh_token_is_not_thrown_away_for_an_unreadable_lifetime(expires_in):
    answer = PAIR | {"expiresIn": expires_in}

    grant = ask(httpx.Response(200, json=answer), refresh_token="spent")

    assert grant == Grant("abc", timedelta(minutes=10), "next")


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("message", ["Invalid refresh token", "refreshToken expired"])
def test_a_refused_refresh_token_needs_the_owner(status, message):
    answer = httpx.Response(status, json={"error": {"message": message}})

    with pytest.raises(NeedsAuthorization):
        ask(answer, refresh_token="spent")


@pytest.mark.parametrize(
    ("message", "whole_application"),
    [("Bad credentials", True), ("unknown client", True), ("no such user", False)],
)
def test_another_refusal_is_about_the_application_if_it_says_so(message, whole_application):
    answer = httpx.Response(401, json={"error": {"message": message}})

    with pytest.raises(CredentialsRefused) as raised:
        ask(answer, refresh_token="spent")

    assert raised.value.of_application is whole_application


def test_a_refresh_token_is_in_no_text():
    answer = httpx.Response(401, json={"message": "refresh token spent-7 is void"})

    with pytest.raises(NeedsAuthorization) as raised:
        ask(answer, refresh_token="spent-7")

    assert "spent-7" not in str(raised.value)
    assert "next" not in repr(ask(httpx.Response(200, json=PAIR)))


def test_the_owners_code_gives_the_first_pair():
    seen: list[httpx.Request] = []
    http = answering(httpx.Response(200, json=PAIR), seen)

    grant = redeem_code(
        CREDENTIALS, "code", verifier="verifier", http=http, base_url="https://ifood.test"
    )

    assert grant.refresh_token == "next"
    form = form_of(seen[0])
    assert form["authorizationCode"] == ["code"]
    assert form["authorizationCodeVerifier"] == ["verifier"]


def test_a_first_answer_without_a_refresh_token_is_refused():
    http = answering(httpx.Response(200, json={"accessToken": "abc", "expiresIn": 60}))

    with pytest.raises(SchemaBroken, match="refreshToken"):
        redeem_code(CREDENTIALS, "code", verifier="v", http=http, base_url="https://ifood.test")


def test_a_user_code_comes_with_its_address_and_its_life():
    answer = {
        "userCode": "HJLX-LPSQ",
        "authorizationCodeVerifier": "verifier",
        "verificationUrl": "https://ifood.test/code",
        "verificationUrlComplete": "https://ifood.test/code?c=HJLX-LPSQ",
        "expiresIn": 600,
    }
    http = answering(httpx.Response(200, json=answer))

    started = request_user_code("client", http=http, base_url="https://ifood.test")

    assert (started.code, started.lifetime) == ("HJLX-LPSQ", timedelta(minutes=10))
    assert started.url == "https://ifood.test/code?c=HJLX-LPSQ"
    assert "verifier" not in repr(started)


def test_a_centralised_client_gets_no_user_code():
    answer = {"error": {"message": "Grant type not authorized for client"}}
    http = answering(httpx.Response(400, json=answer))

    with pytest.raises(CredentialsRefused):
        request_user_code("client", http=http, base_url="https://ifood.test")
