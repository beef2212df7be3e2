"""One token for the whole fleet, on a real Postgres."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text
from support.distributed import pass_by

from ifood_actors.db import transaction
from ifood_actors.errors import (
    CredentialsRefused,
    NeedsAuthorization,
    ServerFault,
    Throttled,
)
from ifood_actors.ifood.http import ApiIdentity, AppCredentials
from ifood_actors.ifood.http.token_requests import Grant
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.tables import AppKind
from ifood_actors.ifood.tokens import Cipher, Tokens, register_app
from ifood_actors.ifood.tokens import refresh as settings

pytestmark = pytest.mark.services

KEY = Fernet.generate_key().decode()
CIPHER = Cipher([KEY])
HOUR = timedelta(hours=1)


class TokenEndpoint:
    """Gives `token-1`, `token-2`, ..., or raises what it is told to; counts its calls."""

    def __init__(self, *, lifetime: timedelta = HOUR, seconds: float = 0) -> None:
        self.calls: list[AppCredentials] = []
        self.fault: BaseException | None = None
        self._lifetime = lifetime
        self._seconds = seconds

    def __call__(self, credentials: AppCredentials, refresh_token: str | None = None) -> Grant:
        assert refresh_token is None
        self.calls.append(credentials)
        threading.Event().wait(self._seconds)
        if self.fault is not None:
            raise self.fault
        return Grant(f"token-{len(self.calls)}", self._lifetime)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait, and pause, for longer than a machine stands still."""
    monkeypatch.setattr(settings, "WAIT_FOR_OTHERS", timedelta(minutes=1))
    monkeypatch.setattr(settings, "PAUSE_AFTER_FAULT", timedelta(minutes=1))


@pytest.fixture
def central(engine: Engine) -> ApiIdentity:
    return ApiIdentity(register(engine, secret="secret"))


@pytest.fixture
def process(engine: Engine) -> Callable[..., Tokens]:
    """Make the tokens of one process more."""

    def make(endpoint: TokenEndpoint, cipher: Cipher = CIPHER) -> Tokens:
        limiter = Limiter(engine, rates={"oauth": 6000})
        return Tokens(engine, cipher=cipher, limiter=limiter, request=endpoint)

    return make


def register(engine: Engine, *, secret: str, kind: AppKind = AppKind.CENTRALIZED) -> UUID:
    with transaction(engine) as session:
        return register_app(
            session, CIPHER, name="main", kind=kind, credentials=AppCredentials("client", secret)
        )


def let_pass(engine: Engine, *columns: str) -> None:
    """Put instants of the cached token into the past."""
    for column in columns:
        with engine.begin() as connection:
            connection.execute(
                text(f"UPDATE ifood_authorizations SET {column} = now() - interval '1 second'")
            )


def test_a_token_is_asked_for_once_and_shared_by_all_processes(process, central):
    endpoint = TokenEndpoint()

    given = [process(endpoint).token(central) for _ in range(3)]

    assert given == ["token-1"] * 3
    assert endpoint.calls == [AppCredentials("client", "secret")]


def test_a_stampede_of_processes_costs_one_call(process, central):
    endpoint, start = TokenEndpoint(seconds=0.3), threading.Barrier(12)

    def ask(tokens: Tokens) -> str:
        start.wait()
        return tokens.token(central)

    with ThreadPoolExecutor(12) as pool:
        given = list(pool.map(ask, [process(endpoint) for _ in range(12)]))

    assert given == ["token-1"] * 12
    assert len(endpoint.calls) == 1


def test_neither_token_nor_secret_is_stored_in_clear(engine, process, central):
    process(TokenEndpoint()).token(central)

    with engine.connect() as connection:
        stored = connection.execute(
            text("SELECT a::text || t::text FROM ifood_apps a, ifood_authorizations t")
        ).scalar_one()

    assert "token-1" not in stored
    assert '"secret"' not in stored
    assert ",secret," not in stored


def test_a_token_is_kept_within_the_process(engine, process, central):
    tokens = process(TokenEndpoint())
    tokens.token(central)
    engine.dispose()
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM ifood_authorizations"))

    assert tokens.token(central) == "token-1"


def test_a_token_of_8000_characters_goes_there_and_back(process, central):
    endpoint = TokenEndpoint()
    long = Grant("a" * 8000, HOUR)
    tokens = process(lambda credentials, _: endpoint(credentials) and long)

    assert tokens.token(central) == long.access_token
    assert process(endpoint).token(central) == long.access_token


def test_a_refused_token_is_replaced_once(process, central):
    endpoint = TokenEndpoint()
    one, two = process(endpoint), process(endpoint)
    first = one.token(central)
    two.token(central)

    one.invalidate(central, first)
    second = one.token(central)
    two.invalidate(central, first)  # the other process hears of it later

    assert (first, second, two.token(central)) == ("token-1", "token-2", "token-2")
    assert len(endpoint.calls) == 2


def test_a_token_that_is_refused_while_it_is_being_read_is_not_used_again(process, central):
    endpoint = TokenEndpoint()
    first = process(endpoint).token(central)
    tokens = process(endpoint)
    read = tokens._stored.token

    def refused_meanwhile(held):
        token = read(held)
        tokens._stored.token = read
        tokens.invalidate(central, token)
        return token

    tokens._stored.token = refused_meanwhile

    assert tokens.token(central) != first
    assert tokens.token(central) != first


def test_a_token_that_is_refused_just_before_it_is_kept_is_not_used_again(process, central):
    endpoint = TokenEndpoint()
    first = process(endpoint).token(central)
    tokens = process(endpoint)
    keep = tokens._keep

    def refused_meanwhile(identity, token, fresh_seconds):
        tokens._keep = keep
        tokens.invalidate(identity, token)
        return keep(identity, token, fresh_seconds)

    tokens._keep = refused_meanwhile

    assert tokens.token(central) == first  # this thread learns of it by its own 401
    assert tokens.token(central) != first


def test_a_token_that_ifood_gives_again_is_used_again(process, central):
    endpoint = TokenEndpoint()
    tokens = process(endpoint)
    token = tokens.token(central)
    tokens.invalidate(central, token)
    endpoint.calls.clear()  # so that the next call is the first again

    assert [tokens.token(central) for _ in range(3)] == [token] * 3
    assert len(endpoint.calls) == 1


def test_an_old_token_lives_on_while_renewal_fails(engine, process, central):
    endpoint = TokenEndpoint()
    process(endpoint).token(central)
    let_pass(engine, "renew_at")
    endpoint.fault = ServerFault("500")

    assert process(endpoint).token(central) == "token-1"
    assert process(endpoint).token(central) == "token-1"
    assert len(endpoint.calls) == 2  # the second fault is not asked for at once


def test_a_token_that_ended_is_not_used(engine, process, central):
    endpoint = TokenEndpoint()
    process(endpoint).token(central)
    let_pass(engine, "renew_at", "expires_at")

    assert process(endpoint).token(central) == "token-2"


def test_a_short_life_is_used_by_half(engine, process, central, monkeypatch):
    endpoint = TokenEndpoint(lifetime=timedelta(seconds=100))
    tokens = process(endpoint)
    tokens.token(central)
    tokens.token(central)
    assert len(endpoint.calls) == 1

    with engine.begin() as connection:
        connection.execute(
            text("UPDATE ifood_authorizations SET renew_at = renew_at - interval '50 seconds'")
        )
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 50)
    monkeypatch.setattr(settings, "time", later)

    assert tokens.token(central) == "token-2"


def test_refused_credentials_are_remembered_by_the_fleet(engine, process, central):
    endpoint = TokenEndpoint()
    endpoint.fault = CredentialsRefused("401 Bad credentials", of_application=True)

    for error in (Throttled, CredentialsRefused):
        for _ in range(3):
            with pytest.raises(error, match="Bad credentials"):
                process(endpoint).token(central)
        pass_by(engine, 6)

    assert len(endpoint.calls) == 2


def test_a_new_secret_ends_a_refusal_at_once(engine, process, central):
    endpoint = TokenEndpoint()
    endpoint.fault = CredentialsRefused("401 Bad credentials", of_application=True)
    with pytest.raises(Throttled):
        process(endpoint).token(central)
    endpoint.fault = None

    assert register(engine, secret="better") == central.app_id

    assert process(endpoint).token(central) == "token-2"
    assert endpoint.calls[-1].client_secret == "better"


def test_a_refusal_is_tried_again_after_some_minutes(engine, process, central):
    endpoint = TokenEndpoint()
    endpoint.fault = CredentialsRefused("401 Bad credentials", of_application=True)
    with pytest.raises(Throttled):
        process(endpoint).token(central)
    endpoint.fault = None
    pass_by(engine, 6)

    assert process(endpoint).token(central) == "token-2"


def test_a_429_of_the_token_endpoint_is_a_cooldown_for_all_processes(process, central):
    endpoint = TokenEndpoint()
    endpoint.fault = Throttled("429", after=timedelta(minutes=10))

    for _ in range(2):
        with pytest.raises(Throttled) as raised:
            process(endpoint).token(central)

    assert timedelta(minutes=9) < raised.value.after <= timedelta(minutes=10)
    assert len(endpoint.calls) == 1


def test_a_process_that_died_while_renewing_holds_up_nobody_for_long(engine, process, central):
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO ifood_authorizations (app_id, name, locked_until)
                VALUES (:app_id, '*', now() + '0.5 s')
            """),
            {"app_id": central.app_id},
        )

    assert process(TokenEndpoint()).token(central) == "token-1"


def test_whoever_waits_too_long_for_another_comes_back_later(engine, process, central, monkeypatch):
    monkeypatch.setattr(settings, "WAIT_FOR_OTHERS", timedelta(seconds=0.3))
    with engine.begin() as connection:
        connection.execute(
            text("""
                INSERT INTO ifood_authorizations (app_id, name, locked_until)
                VALUES (:app_id, '*', now() + '1 min')
            """),
            {"app_id": central.app_id},
        )

    with pytest.raises(Throttled, match="another process"):
        process(TokenEndpoint()).token(central)


def test_a_shutdown_in_the_middle_leaves_no_lock(engine, process, central):
    endpoint = TokenEndpoint()
    endpoint.fault = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        process(endpoint).token(central)
    endpoint.fault = None

    with engine.connect() as connection:
        locked = text("SELECT locked_until > clock_timestamp() FROM ifood_authorizations")
        assert not connection.execute(locked).scalar_one()
    assert process(endpoint).token(central) == "token-2"


def test_a_frozen_process_does_not_end_its_successors_lock(engine, process, central):
    def frozen_for_longer_than_its_lock(_: AppCredentials, __: str | None) -> Grant:
        with engine.begin() as connection:
            connection.execute(
                text("UPDATE ifood_authorizations SET locked_until = now() + '1 min'")
            )
        return Grant("late", HOUR)

    assert process(frozen_for_longer_than_its_lock).token(central) == "late"

    with engine.connect() as connection:
        row = connection.execute(
            text("""
                SELECT locked_until > now() AS locked, access_token_encrypted
                FROM ifood_authorizations
            """)
        ).one()
    assert tuple(row) == (True, None)


def test_a_distributed_application_needs_authorization(engine, process):
    app_id = register(engine, secret="secret", kind=AppKind.DISTRIBUTED)

    with pytest.raises(NeedsAuthorization, match="apps authorize main"):
        process(TokenEndpoint()).token(ApiIdentity(app_id))


def test_an_unknown_application_is_named(process):
    with pytest.raises(CredentialsRefused, match="there is no application"):
        process(TokenEndpoint()).token(ApiIdentity(uuid4()))
