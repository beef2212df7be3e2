"""
The authorizations as the database has them: their tokens, who renews them, what was refused.

No transaction is open during HTTP, so the lock of a renewal is a column that ends by itself. What
ends a renewal is fenced by the lock's own instant: a process that was frozen for longer must not
end the lock of its successor. With one exception: a process that spent the
refresh token that is still stored has its successor, and may store that at any time.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, TextClause

from ifood_actors.errors import UsageError
from ifood_actors.ifood.http import ApiIdentity, Grant
from ifood_actors.ifood.tables import AppKind
from ifood_actors.ifood.thresholds import PAUSE_AFTER_REFUSAL, REFRESH_TOKEN_LIFETIME, SEVERAL
from ifood_actors.ifood.tokens import token_statements as statements
from ifood_actors.ifood.tokens.cipher import Cipher


@dataclass(frozen=True)
class StoredAuthorization:
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
    refused_twice: bool
    paused_seconds: float  # after a refusal: until iFood is asked again

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


@dataclass(frozen=True)
class Refusal:
    """What became of an authorization that iFood refused, the latest of `in_a_row`."""

    needed: bool  # its owner is
    in_a_row: int


def fresh_for(lifetime: timedelta) -> timedelta:
    """
    Say for how long a token is used before it is refreshed.

    All of its life but 5 %, at least a minute, so that no request outlives it; a very short life
    (a test server's) is used by half.
    """
    margin = max(timedelta(minutes=1), lifetime * 0.05)
    return max(lifetime - margin, lifetime / 2)


class Authorizations:
    """Reads and writes single authorizations; every act is one statement and one transaction."""

    def __init__(self, engine: Engine, cipher: Cipher) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._cipher = cipher

    def read(self, identity: ApiIdentity) -> StoredAuthorization | None:
        """Read an authorization, or make a centralised one; None without such an application."""
        held = self._read(identity)
        if held is None or held.id is not None or held.distributed:
            return held
        self._write(statements.MAKE_CENTRAL, app_id=identity.app_id)
        return self._read(identity)

    def token(self, held: StoredAuthorization) -> str | None:
        """Decrypt the token; one that needs another key is none here, and another process's."""
        if held.encrypted is None:
            return None
        try:
            return self._cipher.decrypt(held.encrypted)
        except UsageError:
            return None

    def forget(self, held: StoredAuthorization) -> None:
        """Take the token out, unless it has been replaced since."""
        self._write(statements.FORGET, id=held.id, encrypted=held.encrypted)

    def lock(self, held: StoredAuthorization, *, renewed_at: datetime | None) -> Lock | None:
        """Take the right to renew a token that is due, or that was given at `renewed_at`."""
        return self._lock(held, statements.LOCK, renewed_at=renewed_at, pause=PAUSE_AFTER_REFUSAL)

    def lock_anyway(self, held: StoredAuthorization) -> Lock | None:
        """Take the right to refresh a token that is not due, or was refused."""
        return self._lock(held, statements.LOCK_ANYWAY)

    def _lock(
        self, held: StoredAuthorization, statement: TextClause, **values: object
    ) -> Lock | None:
        row = self._one(statement, id=held.id, lock=statements.LOCK_FOR, **values)
        if row is None or held.id is None:
            return None
        return Lock(held.id, row.locked_until, row.refresh_token_encrypted)

    def add(
        self, tx: Connection, grant: Grant, *, app_id: UUID, name: str, replaces: UUID | None
    ) -> UUID | None:
        """
        Store an authorization that an owner has given, for the first time or again; return its id.

        None when another one lives under that name, and is not the one to replace.
        """
        values = {"app_id": app_id, "name": name, "replaces": replaces, **self._sealed(grant)}
        added: UUID | None = tx.execute(statements.ADD, values).scalar_one_or_none()
        return added

    def save(self, lock: Lock, grant: Grant) -> None:
        """Store both tokens in one statement, and end the lock."""
        self._write(statements.SAVE, **lock.mine, spent=lock.spent, **self._sealed(grant))

    def unlock(self, lock: Lock, *, pause: timedelta) -> None:
        """End the lock after a while; until then no process tries again."""
        self._write(statements.UNLOCK, **lock.mine, pause=pause)

    def refuse(self, lock: Lock, *, reason: str, by_token: bool) -> Refusal | None:
        """
        Note that iFood refused, and end the lock; None when another process has renewed meanwhile.

        `by_token`: it is the refresh token that iFood refused. So the owner is needed, if that was
        so before, some minutes ago, and iFood does not refuse the application as a whole.
        """
        row = self._one(
            statements.REFUSE,
            **lock.mine,
            spent=lock.spent,
            reason=reason,
            by_token=by_token,
            pause=PAUSE_AFTER_REFUSAL,
            several=SEVERAL,
        )
        if row is None:
            self.unlock(lock, pause=timedelta(0))
            return None
        return Refusal(row.needed, row.in_a_row)

    def refuse_all(self, held: StoredAuthorization, refusal: Refusal, *, reason: str) -> None:
        """Note a refusal of the application's credentials for all others of its authorizations."""
        self._write(
            statements.REFUSE_ALL,
            app_id=held.app_id,
            id=held.id,
            reason=reason,
            in_a_row=refusal.in_a_row,
            several=SEVERAL,
        )

    def need(self, lock: Lock, *, reason: str) -> bool:
        """Note that it has no refresh token; True for the first who finds out."""
        first = self._one(statements.NEED, **lock.mine, reason=reason) is not None
        self.unlock(lock, pause=timedelta(0))
        return first

    def note_unreadable(self, held: StoredAuthorization, *, host: str) -> None:
        """Note that a process of this host lacks the key of one of its secrets, for people."""
        self._write(statements.NOTE_UNREADABLE, id=held.id, host=host)

    def _sealed(self, grant: Grant) -> dict[str, object]:
        return {
            "access_token": self._cipher.encrypt(grant.access_token),
            "refresh_token": grant.refresh_token and self._cipher.encrypt(grant.refresh_token),
            "refresh_lifetime": REFRESH_TOKEN_LIFETIME,
            "lifetime": grant.lifetime,
            "fresh": fresh_for(grant.lifetime),
        }

    def _read(self, identity: ApiIdentity) -> StoredAuthorization | None:
        row = self._one(
            statements.READ,
            app_id=identity.app_id,
            authorization_id=identity.authorization_id,
            pause=PAUSE_AFTER_REFUSAL,
        )
        return None if row is None else StoredAuthorization(**row._asdict())

    def _one(self, statement: TextClause, **values: object) -> Row[Any] | None:
        with self._engine.connect() as connection:
            return connection.execute(statement, values).one_or_none()

    def _write(self, statement: TextClause, **values: object) -> None:
        with self._engine.connect() as connection:
            connection.execute(statement, values)
