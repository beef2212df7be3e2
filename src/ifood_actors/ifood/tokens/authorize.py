"""The userCode flow: how an owner lets a distributed application read stores."""

from dataclasses import dataclass
from uuid import UUID

import httpx
from sqlalchemy import Engine, text

from ifood_actors import operator_acts
from ifood_actors.db import transaction
from ifood_actors.errors import UsageError
from ifood_actors.ifood.http import ApiIdentity, AppCredentials, UserCode
from ifood_actors.ifood.http.token_requests import redeem_code, request_user_code
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.tables import AppKind
from ifood_actors.ifood.tokens.cipher import Cipher
from ifood_actors.ifood.tokens.refresh import MAX_OAUTH_WAIT
from ifood_actors.ifood.tokens.store import Authorizations
from ifood_actors.ifood.tokens.token_statements import LIVES

_APP = text(
    "SELECT id, kind, client_id, client_secret_encrypted FROM ifood_apps WHERE name = :name"
)

_LIVING = text(f"""
    SELECT held.id, coalesce(array_agg(account.name ORDER BY account.name)
      FILTER (WHERE account.id IS NOT NULL), '{{}}') AS accounts
    FROM ifood_authorizations AS held JOIN ifood_apps AS app ON app.id = held.app_id
    LEFT JOIN accounts AS account ON account.authorization_id = held.id
    WHERE app.name = :app AND held.name = :label AND {LIVES} GROUP BY held.id
""")


class Authorizer:
    """Walks the flow: `start`, then the owner confirms, then `finish`."""

    def __init__(
        self,
        engine: Engine,
        *,
        cipher: Cipher,
        limiter: Limiter,
        http: httpx.Client,
        base_url: str,
    ) -> None:
        self._engine = engine
        self._stored = Authorizations(engine, cipher)
        self._cipher = cipher
        self._limiter = limiter
        self._http = http
        self._base_url = base_url

    def start(self, app: str) -> UserCode:
        """
        Get the code that the owner has to confirm.

        Raises UsageError for an unknown or centralised application, and what
        `request_user_code` raises.
        """
        app_id, credentials = self._read(app)
        self._limiter.acquire(app_id, "oauth", max_wait=MAX_OAUTH_WAIT)
        return request_user_code(credentials.client_id, http=self._http, base_url=self._base_url)

    def finish(
        self,
        app: str,
        code: str,
        *,
        user_code: UserCode,
        label: str | None = None,
        replaces: UUID | None = None,
        actor: str,
    ) -> "NewAuthorization":
        """
        Store the authorization that the owner's code gives, in the place of one with that label.

        One that lives is replaced only if it is `replaces`: else both stay, and the new one has the
        first code behind its label. Without a label it is called as the first code. It is noted as
        an act of the operator.

        Raises what `redeem_code` raises.
        """
        app_id, credentials = self._read(app)
        self._limiter.acquire(app_id, "oauth", max_wait=MAX_OAUTH_WAIT)
        grant = redeem_code(
            credentials,
            code,
            verifier=user_code.verifier,
            http=self._http,
            base_url=self._base_url,
        )
        names = iter([label, f"{label} {user_code.code}"] if label else [user_code.code])
        stored = None
        with transaction(self._engine) as tx:
            while stored is None:
                name = next(names)
                stored = self._stored.add(tx, grant, app_id=app_id, name=name, replaces=replaces)
            # Without the code, which is a secret, also when it is spent.
            told = {"label": label, "authorization_id": stored, "replaced": stored == replaces}
            operator_acts.note(tx, "apps authorize", actor=actor, subject=app, **told)
        return NewAuthorization(ApiIdentity(app_id, stored), name)

    def living(self, app: str, label: str) -> "LivingAuthorization | None":
        """Tell which living authorization has that label, and which accounts it reads."""
        with self._engine.connect() as connection:
            row = connection.execute(_LIVING, {"app": app, "label": label}).one_or_none()
        return None if row is None else LivingAuthorization(row.id, row.accounts)

    def _read(self, name: str) -> tuple[UUID, AppCredentials]:
        with self._engine.connect() as connection:
            row = connection.execute(_APP, {"name": name}).one_or_none()
        if row is None:
            raise UsageError(f"no such application: {name!r}; see `ifood-actors apps list`")
        if row.kind != AppKind.DISTRIBUTED:
            raise UsageError(
                f"application {name} is centralised: its stores are linked in iFood's portal"
            )
        secret = self._cipher.decrypt(row.client_secret_encrypted)
        return row.id, AppCredentials(row.client_id, secret)


@dataclass(frozen=True)
class NewAuthorization:
    """The identity that an owner's code gave, and the name by which it was stored."""

    identity: ApiIdentity
    name: str


@dataclass(frozen=True)
class LivingAuthorization:
    """A living authorization, and the names of the accounts that are read with it."""

    id: UUID
    accounts: list[str]
