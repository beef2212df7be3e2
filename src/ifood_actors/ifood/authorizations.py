"""
The authorizations as the database has them: their tokens, who renews them, what was refused.

No transaction is open during HTTP, so the lock of a renewal is a column that ends by itself. What
ends a renewal is fenced by the lock's own instant: a process that was frozen for longer must not
end the lock of its successor. One thing is worth more than the fence: whoever spent the refresh
token that is still stored has its successor, and may store that however late it is.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, Engine, TextClause, text

from ifood_actors.errors import UsageError
from ifood_actors.ifood.auth import Grant
from ifood_actors.ifood.crypto import Vault
from ifood_actors.ifood.models import AppKind

ALL_STORES = "*"  # the name of a centralised application's only authorization
REFRESH_TOKEN_LIFETIME = timedelta(hours=168)  # iFood authentication guide; no answer tells it

# Longer than a renewal may take: one request (60 s), the database.
LOCK = timedelta(seconds=90)
PAUSE_AFTER_REFUSAL = timedelta(minutes=10)  # for credentials; a new secret ends it at once

_READ = text(f"""
    SELECT app.id AS app_id, app.name AS app, app.kind, app.client_id, app.client_secret_encrypted,
      held.id, held.name, held.renewed_at,
      held.needs_authorization_since IS NOT NULL AS needs_authorization,
      CASE WHEN held.expires_at > clock_timestamp() THEN held.access_token_encrypted END
        AS encrypted,
      coalesce(extract(epoch FROM held.renew_at - clock_timestamp()), 0)::float8 AS fresh_seconds,
      CASE WHEN held.refused_at > clock_timestamp() - :pause AND held.refused_at >= app.updated_at
        THEN held.refused_reason END AS refused_reason
    FROM ifood_apps AS app LEFT JOIN ifood_authorizations AS held ON held.app_id = app.id
      AND CASE app.kind WHEN '{AppKind.CENTRALIZED}' THEN held.name = '{ALL_STORES}'
        ELSE held.id = :authorization_id END
    WHERE app.id = :app_id
""")
_MAKE_CENTRAL = text(f"""
    INSERT INTO ifood_authorizations (app_id, name)
    SELECT id, '{ALL_STORES}' FROM ifood_apps
    WHERE id = :app_id AND kind = '{AppKind.CENTRALIZED}'
    ON CONFLICT (app_id, name) DO NOTHING
""")
# Looks at the columns again, since another process may have renewed after they were read; gives
# the refresh token, since one that was read before the lock may be spent.
_LOCK = text("""
    UPDATE ifood_authorizations SET locked_until = clock_timestamp() + :lock
    WHERE id = :id AND needs_authorization_since IS NULL
      AND (locked_until IS NULL OR locked_until <= clock_timestamp())
      AND (renew_at IS NULL OR renew_at <= clock_timestamp()
        OR renewed_at = CAST(:renewed_at AS timestamptz))
    RETURNING locked_until, refresh_token_encrypted
""")
_MINE = "id = :id AND locked_until = :locked_until"
_SAVE = text("""
    UPDATE ifood_authorizations
    SET access_token_encrypted = :access_token, renewed_at = clock_timestamp(),
      expires_at = clock_timestamp() + :lifetime, renew_at = clock_timestamp() + :fresh,
      refresh_token_encrypted = coalesce(:refresh_token, refresh_token_encrypted),
      refresh_expires_at = CASE WHEN CAST(:refresh_token AS text) IS NULL THEN refresh_expires_at
        ELSE clock_timestamp() + :refresh_lifetime END,
      locked_until = nullif(locked_until, :locked_until),
      refused_at = NULL, refused_reason = NULL, needs_authorization_since = NULL
    WHERE id = :id AND (locked_until = :locked_until OR refresh_token_encrypted = :spent)
""")
# A person has decided: whatever was refused, or is being renewed just now, belongs to the past.
_ADD = text("""
    INSERT INTO ifood_authorizations AS held (app_id, name, access_token_encrypted, renewed_at,
      expires_at, renew_at, refresh_token_encrypted, refresh_expires_at)
    VALUES (:app_id, :name, :access_token, clock_timestamp(), clock_timestamp() + :lifetime,
      clock_timestamp() + :fresh, :refresh_token, clock_timestamp() + :refresh_lifetime)
    ON CONFLICT (app_id, name) DO UPDATE
    SET access_token_encrypted = excluded.access_token_encrypted,
      renewed_at = excluded.renewed_at, expires_at = excluded.expires_at,
      renew_at = excluded.renew_at, refresh_token_encrypted = excluded.refresh_token_encrypted,
      refresh_expires_at = excluded.refresh_expires_at, locked_until = NULL, refused_at = NULL,
      refused_reason = NULL, needs_authorization_since = NULL
    RETURNING held.id
""")
_UNLOCK = text(f"""
    UPDATE ifood_authorizations SET locked_until = clock_timestamp() + :pause WHERE {_MINE}
""")
_REFUSE = text(f"""
    UPDATE ifood_authorizations
    SET locked_until = NULL, refused_at = clock_timestamp(), refused_reason = :reason WHERE {_MINE}
""")
# In one order for everybody, so that two refusals at once wait for each other and never deadlock.
_REFUSE_ALL = text("""
    UPDATE ifood_authorizations SET refused_at = clock_timestamp(), refused_reason = :reason
    WHERE id IN (
      SELECT id FROM ifood_authorizations WHERE app_id = :app_id ORDER BY id FOR UPDATE)
""")
# Nobody else's renewal may have replaced the token meanwhile; once, however many are refused.
_NEED = text(f"""
    UPDATE ifood_authorizations
    SET needs_authorization_since = clock_timestamp(), refused_reason = :reason
    WHERE {_MINE} AND refresh_token_encrypted IS NOT DISTINCT FROM :spent
      AND needs_authorization_since IS NULL
    RETURNING name
""")
_FORGET = text("""
    UPDATE ifood_authorizations SET renew_at = clock_timestamp(), access_token_encrypted = NULL
    WHERE id = :id AND access_token_encrypted = :encrypted
""")


@dataclass(frozen=True)
class Credential:
    """
    Whose token a request carries.

    A distributed application has one for each authorization, a centralised one for all stores.
    """

    app_id: UUID
    authorization_id: UUID | None = None


@dataclass(frozen=True)
class Held:
    """
    An application and one of its authorizations, as stored; `encrypted` is a token that lives.

    `id` and what belongs to it are None when there is no such authorization.
    """

    app_id: UUID
    app: str
    kind: str
    client_id: str
    client_secret_encrypted: str = field(repr=False)
    id: UUID | None
    name: str | None
    renewed_at: datetime | None
    needs_authorization: bool
    encrypted: str | None = field(repr=False)
    fresh_seconds: float
    refused_reason: str | None

    @property
    def distributed(self) -> bool:
        return self.kind == AppKind.DISTRIBUTED


@dataclass(frozen=True)
class Lock:
    """The right to renew one authorization until an instant; `spent` is its refresh token."""

    id: UUID
    locked_until: datetime
    spent: str | None = field(repr=False)

    @property
    def mine(self) -> dict[str, object]:
        return {"id": self.id, "locked_until": self.locked_until}


class Authorizations:
    """Reads and writes single authorizations; every act is one statement and one transaction."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._vault = vault

    def read(self, credential: Credential) -> Held | None:
        """Read an authorization, or make a centralised one; None without such an application."""
        held = self._read(credential)
        if held is None or held.id is not None or held.distributed:
            return held
        self._write(_MAKE_CENTRAL, app_id=credential.app_id)
        return self._read(credential)

    def token(self, held: Held) -> str | None:
        """Decrypt the token; one whose key was taken away is none, since it can be had again."""
        if held.encrypted is None:
            return None
        try:
            return self._vault.decrypt(held.encrypted)
        except UsageError:
            self.forget(held)
            return None

    def forget(self, held: Held) -> None:
        """Take the token out, unless it has been replaced since."""
        self._write(_FORGET, id=held.id, encrypted=held.encrypted)

    def lock(self, held: Held, *, renewed_at: datetime | None) -> Lock | None:
        """Take the right to renew a token that is due, or that was given at `renewed_at`."""
        values = {"id": held.id, "lock": LOCK, "renewed_at": renewed_at}
        with self._engine.connect() as connection:
            row = connection.execute(_LOCK, values).one_or_none()
        if row is None or held.id is None:
            return None
        return Lock(held.id, row.locked_until, row.refresh_token_encrypted)

    def add(
        self, tx: Connection, app_id: UUID, name: str, grant: Grant, *, fresh: timedelta
    ) -> UUID:
        """Store an authorization that an owner has just given, or gave anew; give its id."""
        values = {"app_id": app_id, "name": name, **self._sealed(grant, fresh)}
        added: UUID = tx.execute(_ADD, values).scalar_one()
        return added

    def save(self, lock: Lock, grant: Grant, *, fresh: timedelta) -> None:
        """Store both tokens in one statement, and end the lock."""
        self._write(_SAVE, **lock.mine, spent=lock.spent, **self._sealed(grant, fresh))

    def unlock(self, lock: Lock, *, pause: timedelta) -> None:
        """End the lock after a while; until then nobody tries again."""
        self._write(_UNLOCK, **lock.mine, pause=pause)

    def refuse(self, lock: Lock, *, reason: str) -> None:
        """Remember that iFood refused, for ten minutes."""
        self._write(_REFUSE, **lock.mine, reason=reason)

    def refuse_all(self, app_id: UUID, *, reason: str) -> None:
        """Remember a refusal for all authorizations of the application."""
        self._write(_REFUSE_ALL, app_id=app_id, reason=reason)

    def need(self, lock: Lock, *, reason: str) -> bool:
        """Note that only the owner can help; True for the first who finds out."""
        with self._engine.connect() as connection:
            values = {**lock.mine, "spent": lock.spent, "reason": reason}
            first = connection.execute(_NEED, values).one_or_none() is not None
        self.unlock(lock, pause=timedelta(0))
        return first

    def _sealed(self, grant: Grant, fresh: timedelta) -> dict[str, object]:
        return {
            "access_token": self._vault.encrypt(grant.access_token),
            "refresh_token": grant.refresh_token and self._vault.encrypt(grant.refresh_token),
            "refresh_lifetime": REFRESH_TOKEN_LIFETIME,
            "lifetime": grant.lifetime,
            "fresh": fresh,
        }

    def _read(self, credential: Credential) -> Held | None:
        values = {
            "app_id": credential.app_id,
            "authorization_id": credential.authorization_id,
            "pause": PAUSE_AFTER_REFUSAL,
        }
        with self._engine.connect() as connection:
            row = connection.execute(_READ, values).mappings().one_or_none()
        return None if row is None else Held(**row)

    def _write(self, statement: TextClause, **values: object) -> None:
        with self._engine.connect() as connection:
            connection.execute(statement, values)
