"""One token for the whole fleet, on a real Postgres."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text

from ifood_actors.db import transaction
from ifood_actors.errors import CredentialsRefused, ServerFault, Throttled, UsageError
from ifood_actors.ifood import AppKind, Credentials, Limiter, Tokens, Vault, register_app
from ifood_actors.ifood import tokens as settings
from ifood_actors.ifood.auth import Grant

pytestmark = pytest.mark.services

KEY = Fernet.generate_key().decode()
VAULT = Vault([KEY])
HOUR = timedelta(hours=1)


class TokenEndpoint:
    """Gives `token-1`, `token-2`, ..., or raises what it is told to; counts its calls."""

    def __init__(self, *, lifetime: timedelta = HOUR, seconds: float = 0) -> None:
        self.calls: list[Credentials] = []
        self.fault: BaseException | None = None
        self._lifetime = lifetime
        self._seconds = seconds

    def __call__(self, credentials: Credentials) -> Grant:
        self.calls.append(credentials)
        threading.Event().wait(self._seconds)
        if self.fault is not None:
            raise self.fault
        return Grant(f"token-{len(self.calls)}", self._lifetime)


@pytest.fixture
def app_id(engine: Engine) -> UUID:
    return register(engine, secret="secret")


@pytest.fixture
def process(engine: Engine) -> Callable[..., Tokens]:
    """Make the tokens of one process more."""

    def make(endpoint: TokenEndpoint, vault: Vault = VAULT) -> Tokens:
        limiter = Limiter(engine, rates={"oauth": 6000})
        return Tokens(engine, vault=vault, limiter=limiter, request=endpoint)

    return make


def register(engine: Engine, *, secret: str, kind: AppKind = AppKind.CENTRALIZED) -> UUID:
    with transaction(engine) as session:
        return register_app(
            session, VAULT, name="main", kind=kind, credentials=Credentials("client", secret)
        )


def let_pass(engine: Engine, *columns: str) -> None:
    """Put instants of the cached token into the past."""
    for column in columns:
        with engine.begin() as connection:
            connection.execute(
                text(f"UPDATE ifood_tokens SET {column} = now() - interval '1 second'")
            )


def test_a_token_is_asked_for_once_and_shared_by_all_processes(process, app_id):
    endpoint = TokenEndpoint()

    given = [process(endpoint).token(app_id) for _ in range(3)]

    assert given == ["token-1"] * 3
    assert endpoint.calls == [Credentials("client", "secret")]


def test_a_stampede_of_processes_costs_one_call(process, app_id):
    endpoint, start = TokenEndpoint(seconds=0.3), threading.Barrier(12)

    def ask(tokens: Tokens) -> str:
        start.wait()
        return tokens.token(app_id)

    with ThreadPoolExecutor(12) as pool:
        given = list(pool.map(ask, [process(endpoint) for _ in range(12)]))

    assert given == ["token-1"] * 12
    assert len(endpoint.calls) == 1


def test_neither_token_nor_secret_is_stored_in_clear(engine, process, app_id):
    process(TokenEndpoint()).token(app_id)

    with engine.connect() as connection:
        stored = connection.execute(
            text("SELECT a::text || t::text FROM ifood_apps a, ifood_tokens t")
        ).scalar_one()

    assert "token-1" not in stored
    assert '"secret"' not in stored
    assert ",secret," not in stored


def test_a_token_is_kept_within_the_process(engine, process, app_id):
    tokens = process(TokenEndpoint())
    tokens.token(app_id)
    engine.dispose()
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM ifood_tokens"))

    assert tokens.token(app_id) == "token-1"


def test_a_token_of_8000_characters_goes_there_and_back(process, app_id):
    endpoint = TokenEndpoint()
    long = Grant("a" * 8000, HOUR)
    tokens = process(lambda credentials: endpoint(credentials) and long)

    assert tokens.token(app_id) == long.access_token
    assert process(endpoint).token(app_id) == long.access_token


def test_a_refused_token_is_replaced_once(process, app_id):
    endpoint = TokenEndpoint()
    one, two = process(endpoint), process(endpoint)
    first = one.token(app_id)
    two.token(app_id)

    one.invalidate(app_id, first)
    second = one.token(app_id)
    two.invalidate(app_id, first)  # the other process hears of it later

    assert (first, second, two.token(app_id)) == ("token-1", "token-2", "token-2")
    assert len(endpoint.calls) == 2


def test_an_old_token_lives_on_while_renewal_fails(engine, process, app_id):
    endpoint = TokenEndpoint()
    process(endpoint).token(app_id)
    let_pass(engine, "renew_at")
    endpoint.fault = ServerFault("500")

    assert process(endpoint).token(app_id) == "token-1"
    assert process(endpoint).token(app_id) == "token-1"
    assert len(endpoint.calls) == 2  # the second fault is not asked for at once


def test_a_token_that_ended_is_not_used(engine, process, app_id):
    endpoint = TokenEndpoint()
    process(endpoint).token(app_id)
    let_pass(engine, "renew_at", "expires_at")

    assert process(endpoint).token(app_id) == "token-2"


def test_a_short_life_is_used_by_half(process, app_id):
    endpoint = TokenEndpoint(lifetime=timedelta(seconds=1))
    tokens = process(endpoint)
    tokens.token(app_id)
    tokens.token(app_id)
    assert len(endpoint.calls) == 1

    threading.Event().wait(0.6)

    assert tokens.token(app_id) == "token-2"


def test_refused_credentials_are_remembered_by_the_fleet(process, app_id):
    endpoint = TokenEndpoint()
    endpoint.fault = CredentialsRefused("401 Bad credentials")

    for _ in range(3):
        with pytest.raises(CredentialsRefused, match="Bad credentials"):
            process(endpoint).token(app_id)

    assert len(endpoint.calls) == 1


def test_a_new_secret_ends_a_refusal_at_once(engine, process, app_id):
    endpoint = TokenEndpoint()
    endpoint.fault = CredentialsRefused("401 Bad credentials")
    with pytest.raises(CredentialsRefused):
        process(endpoint).token(app_id)
    endpoint.fault = None

    assert register(engine, secret="better") == app_id

    assert process(endpoint).token(app_id) == "token-2"
    assert endpoint.calls[-1].client_secret == "better"


def test_a_refusal_is_tried_again_after_some_minutes(engine, process, app_id):
    endpoint = TokenEndpoint()
    endpoint.fault = CredentialsRefused("401 Bad credentials")
    with pytest.raises(CredentialsRefused):
        process(endpoint).token(app_id)
    endpoint.fault = None
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE ifood_tokens SET refused_at = now() - interval '11 minutes'")
        )

    assert process(endpoint).token(app_id) == "token-2"


def test_a_429_of_the_token_endpoint_closes_it_for_the_fleet(process, app_id):
    endpoint = TokenEndpoint()
    endpoint.fault = Throttled("429", after=timedelta(minutes=1))

    for _ in range(2):
        with pytest.raises(Throttled) as raised:
            process(endpoint).token(app_id)

    assert timedelta(seconds=50) < raised.value.after <= timedelta(minutes=1)
    assert len(endpoint.calls) == 1


def test_a_process_that_died_while_renewing_holds_up_nobody_for_long(engine, process, app_id):
    with engine.begin() as connection:
        connection.execute(
            text("INSERT INTO ifood_tokens (app_id, locked_until) VALUES (:app_id, 'infinity')"),
            {"app_id": app_id},
        )
        connection.execute(text("UPDATE ifood_tokens SET locked_until = now() + '0.5 s'"))

    assert process(TokenEndpoint()).token(app_id) == "token-1"


def test_whoever_waits_too_long_for_another_comes_back_later(engine, process, app_id, monkeypatch):
    monkeypatch.setattr(settings, "WAIT_FOR_OTHERS", timedelta(seconds=0.3))
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO ifood_tokens VALUES (:app_id)"), {"app_id": app_id})
        connection.execute(text("UPDATE ifood_tokens SET locked_until = now() + '1 min'"))

    with pytest.raises(Throttled, match="another process"):
        process(TokenEndpoint()).token(app_id)


def test_a_shutdown_in_the_middle_leaves_no_lock(process, app_id):
    endpoint = TokenEndpoint()
    endpoint.fault = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        process(endpoint).token(app_id)
    endpoint.fault = None
    started = time.monotonic()

    assert process(endpoint).token(app_id) == "token-2"
    assert time.monotonic() - started < 1


def test_a_frozen_process_does_not_end_its_successors_lock(engine, process, app_id):
    def frozen_for_longer_than_its_lock(_: Credentials) -> Grant:
        with engine.begin() as connection:
            connection.execute(text("UPDATE ifood_tokens SET locked_until = now() + '1 min'"))
        return Grant("late", HOUR)

    assert process(frozen_for_longer_than_its_lock).token(app_id) == "late"

    with engine.connect() as connection:
        row = connection.execute(
            text("SELECT locked_until > now() AS locked, access_token_encrypted FROM ifood_tokens")
        ).one()
    assert tuple(row) == (True, None)


def test_a_token_whose_key_was_taken_away_is_asked_for_anew(process, app_id):
    endpoint, newer = TokenEndpoint(), Fernet.generate_key().decode()
    process(endpoint, Vault([newer, KEY])).token(app_id)

    assert process(endpoint, VAULT).token(app_id) == "token-2"


def test_a_secret_whose_key_was_taken_away_is_an_error_of_configuration(process, app_id):
    other = Vault([Fernet.generate_key().decode()])

    with pytest.raises(UsageError, match="cannot be decrypted"):
        process(TokenEndpoint(), other).token(app_id)


def test_a_distributed_application_needs_authorization(engine, process):
    app_id = register(engine, secret="secret", kind=AppKind.DISTRIBUTED)

    with pytest.raises(CredentialsRefused, match="needs authorization"):
        process(TokenEndpoint()).token(app_id)


def test_an_unknown_application_is_named(process):
    with pytest.raises(CredentialsRefused, match="there is no application"):
        process(TokenEndpoint()).token(uuid4())
