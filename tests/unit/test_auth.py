"""The token endpoint: what is sent, and what each answer means."""

from datetime import timedelta
from urllib.parse import parse_qs

import httpx
import pytest

from ifood_actors.errors import (
    CredentialsRefused,
    Rejected,
    SchemaBroken,
    ServerFault,
    Throttled,
)
from ifood_actors.ifood import Credentials, http_client, request_token
from ifood_actors.ifood.auth import Grant
from ifood_actors.ifood.tokens import fresh_for

CREDENTIALS = Credentials("client", "the-secret")


def ask(response: httpx.Response, seen: list[httpx.Request] | None = None) -> Grant:
    def answer(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        return response

    http = http_client(threads=1, transport=httpx.MockTransport(answer))
    return request_token(CREDENTIALS, http=http, base_url="https://ifood.test/")


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
]


@pytest.mark.parametrize("body", UNUSABLE)
def test_a_token_that_cannot_be_used_is_refused_without_being_shown(body):
    with pytest.raises(SchemaBroken) as raised:
        ask(httpx.Response(200, json=body))

    assert "abc" not in str(raised.value)


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
