"""A distributed application: its owners confirm, and its tokens are those of many processes."""

from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text

from ifood_actors.accounts import import_sheet
from ifood_actors.accounts.linking import Linked, link_accounts
from ifood_actors.db import transaction
from ifood_actors.ifood.http import ApiIdentity, AppCredentials
from ifood_actors.ifood.http.token_requests import Grant, request_token
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.tables import AppKind
from ifood_actors.ifood.tokens import Authorizer, Cipher, Tokens, register_app
from ifood_actors.ifood.tokens.refresh import TokenRequest
from ifood_simulator import App, Simulator

KEY = Fernet.generate_key().decode()
CIPHER = Cipher([KEY])
BOOKSHOP = App(
    name="bookshop",
    client_id="b0b0b0b0-6ad4-4a52-9d3b-6a1c3f2b7e10",
    client_secret="bookshop-secret",
    kind="distributed",
)
QUICKLY = 60_000  # token calls a minute, where a test is about something else


def register(engine: Engine, *, cipher: Cipher = CIPHER, app: App = BOOKSHOP) -> UUID:
    credentials = AppCredentials(app.client_id, app.client_secret)
    with transaction(engine) as tx:
        return register_app(
            tx, cipher, name=app.name, kind=AppKind.DISTRIBUTED, credentials=credentials
        )


def import_accounts(engine: Engine, simulator: Simulator) -> None:
    with transaction(engine) as tx:
        import_sheet(tx, simulator.accounts_csv().encode())


def authorizer_of(
    engine: Engine, simulator: Simulator, http: httpx.Client, *, cipher: Cipher = CIPHER
) -> Authorizer:
    """Make what walks the userCode flow."""
    limiter = Limiter(engine, rates={"oauth": QUICKLY})
    return Authorizer(engine, cipher=cipher, limiter=limiter, http=http, base_url=simulator.url)


def authorize(
    engine: Engine,
    simulator: Simulator,
    http: httpx.Client,
    merchants: Iterable[str],
    *,
    label: str = "owner",
    cipher: Cipher = CIPHER,
) -> ApiIdentity:
    """Walk the userCode flow for these stores."""
    authorizer = authorizer_of(engine, simulator, http, cipher=cipher)
    started = authorizer.start(BOOKSHOP.name)
    code = simulator.authorize(started.code, frozenset(merchants))
    living = authorizer.living(BOOKSHOP.name, label)
    return authorizer.finish(
        BOOKSHOP.name,
        code,
        user_code=started,
        label=label,
        replaces=living.id if living else None,
        actor="cli maria@host",
    ).identity


def link(engine: Engine, identity: ApiIdentity, merchants: Iterable[str]) -> Linked:
    assert identity.authorization_id is not None
    with transaction(engine) as tx:
        return link_accounts(
            tx,
            merchants,
            app_id=identity.app_id,
            authorization_id=identity.authorization_id,
        )


def asking(simulator: Simulator, http: httpx.Client) -> TokenRequest:
    return partial(request_token, http=http, base_url=simulator.url)


class Asked:
    """The token endpoint, with how often it was asked; fails with `fault` if there is one."""

    def __init__(self, request: TokenRequest) -> None:
        self._request = request
        self.calls = 0
        self.fault: Exception | None = None

    def __call__(self, credentials: AppCredentials, refresh_token: str | None) -> Grant:
        self.calls += 1
        if self.fault is not None:
            raise self.fault
        return self._request(credentials, refresh_token)


def process(
    engine: Engine, request: TokenRequest, *, rate: int = QUICKLY, cipher: Cipher = CIPHER
) -> Tokens:
    """Make the tokens of one process more."""
    return Tokens(
        engine, cipher=cipher, limiter=Limiter(engine, rates={"oauth": rate}), request=request
    )


def expire(engine: Engine, *, refreshed_ago: str = "0 s") -> None:
    """Let all access tokens end now, as if the refresh tokens had been given so long ago."""
    with transaction(engine) as tx:
        tx.execute(
            text("""
                UPDATE ifood_authorizations SET
                  renewed_at = renewed_at - (expires_at - now()),
                  expires_at = now(), renew_at = now(),
                  refresh_expires_at = now() + interval '168 h' - CAST(:ago AS interval)
            """),
            {"ago": refreshed_ago},
        )


def pass_by(engine: Engine, minutes: int) -> None:
    """Let so many minutes pass for what was refused and closed."""
    with transaction(engine) as tx:
        for table, columns in {
            "ifood_authorizations": ["refused_at", "refused_since", "renewed_at", "locked_until"],
            "ifood_limits": ["closed_at", "closed_until", "next_free_at"],
        }.items():
            earlier = ", ".join(f"{each} = {each} - :passed" for each in columns)
            tx.execute(
                text(f"UPDATE {table} SET {earlier}"), {"passed": timedelta(minutes=minutes)}
            )


def stored(engine: Engine, identity: ApiIdentity, column: str) -> Any:
    with transaction(engine) as tx:
        return tx.execute(
            text(f"SELECT {column} FROM ifood_authorizations WHERE id = :id"),
            {"id": identity.authorization_id},
        ).scalar_one()
