"""
Access tokens: one for each application and lifetime, shared by the whole fleet.

A token is kept in this process, and encrypted in Postgres. Who finds none there takes a lock that
ends by itself (a column, since no transaction may be open during HTTP) and asks iFood; the others
wait for what it stores. So a thousand jobs that start together cost one call of the 20 a minute
that iFood allows (iFood rate-limit guide).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from uuid import UUID

from sqlalchemy import Engine, TextClause, text

from ifood_actors.errors import (
    CredentialsRefused,
    JobError,
    ServerFault,
    Throttled,
    UsageError,
)
from ifood_actors.ifood.auth import Credentials, Grant
from ifood_actors.ifood.crypto import Vault
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.models import AppKind

# Longer than a renewal may take: the limiter's wait, one request (60 s), the database.
LOCK = timedelta(seconds=90)
PAUSE_AFTER_FAULT = timedelta(seconds=10)
PAUSE_AFTER_REFUSAL = timedelta(minutes=10)  # for credentials; a new secret ends it at once
MAX_OAUTH_WAIT = timedelta(seconds=20)
WAIT_FOR_OTHERS = timedelta(seconds=5)

_LOOK_EVERY = 0.2  # seconds

_READ = text("""
    SELECT a.name, a.kind, a.client_id, a.client_secret_encrypted,
        CASE WHEN t.expires_at > clock_timestamp() THEN t.access_token_encrypted END AS encrypted,
        coalesce(extract(epoch FROM t.renew_at - clock_timestamp()), 0)::float8 AS fresh_seconds,
        CASE WHEN t.refused_at > clock_timestamp() - :pause AND t.refused_at >= a.updated_at
            THEN t.refused_reason END AS refused_reason
    FROM ifood_apps a LEFT JOIN ifood_tokens t ON t.app_id = a.id
    WHERE a.id = :app_id
""")

# Looks at `renew_at` again: another process may have renewed since it was read.
_LOCK = text("""
    INSERT INTO ifood_tokens AS t (app_id, locked_until)
    VALUES (:app_id, clock_timestamp() + :lock)
    ON CONFLICT (app_id) DO UPDATE SET locked_until = excluded.locked_until
    WHERE (t.locked_until IS NULL OR t.locked_until <= clock_timestamp())
      AND (t.renew_at IS NULL OR t.renew_at <= clock_timestamp())
    RETURNING locked_until
""")

# What ends a renewal is fenced by the lock's own instant: a process that was frozen for longer
# must not end the lock of its successor.
_STORE = text("""
    UPDATE ifood_tokens
    SET access_token_encrypted = :encrypted, renewed_at = clock_timestamp(),
        expires_at = clock_timestamp() + :lifetime, renew_at = clock_timestamp() + :fresh,
        locked_until = NULL, refused_at = NULL, refused_reason = NULL
    WHERE app_id = :app_id AND locked_until = :locked_until
""")
_UNLOCK = text("""
    UPDATE ifood_tokens SET locked_until = clock_timestamp() + :pause
    WHERE app_id = :app_id AND locked_until = :locked_until
""")
_REMEMBER_REFUSAL = text("""
    UPDATE ifood_tokens
    SET locked_until = NULL, refused_at = clock_timestamp(), refused_reason = :reason
    WHERE app_id = :app_id AND locked_until = :locked_until
""")
_INVALIDATE = text("""
    UPDATE ifood_tokens SET renew_at = clock_timestamp(), expires_at = clock_timestamp()
    WHERE app_id = :app_id AND access_token_encrypted = :encrypted
""")


class Tokens:
    """The access tokens of all applications; safe for threads and for many processes."""

    def __init__(
        self,
        engine: Engine,
        *,
        vault: Vault,
        limiter: Limiter,
        request: Callable[[Credentials], Grant],
        stopping: Event | None = None,
    ) -> None:
        """`request` asks iFood for a token: `auth.request_token` with its client given."""
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._vault = vault
        self._limiter = limiter
        self._request = request
        self._stopping = stopping or Event()
        self._kept: dict[UUID, _Kept] = {}

    def token(self, app_id: UUID) -> str:
        """
        Give a token that lives, from this process, from the fleet, or from iFood.

        Raises CredentialsRefused (also for ten minutes after a refusal, without asking iFood
        again), Throttled when no call is free or another process is slow, and what
        `auth.request_token` raises.
        """
        kept = self._kept.get(app_id)
        if kept is not None and time.monotonic() < kept.fresh_until:
            return kept.token

        give_up = time.monotonic() + WAIT_FOR_OTHERS.total_seconds()
        while True:
            shared = self._read_usable(app_id)
            if shared.token is not None and shared.fresh_seconds > 0:
                return self._keep(app_id, shared.token, shared.fresh_seconds)

            locked_until = self._lock(app_id)
            if locked_until is not None:
                return self._renew_or_keep(app_id, shared, locked_until=locked_until)
            if shared.token is not None:
                return shared.token
            if time.monotonic() > give_up or self._stopping.wait(_LOOK_EVERY):
                raise Throttled("another process renews the token", after=timedelta(seconds=2))

    def invalidate(self, app_id: UUID, token: str) -> None:
        """Forget a token that iFood refused (401), unless it has been replaced since."""
        kept = self._kept.get(app_id)
        if kept is not None and kept.token == token:
            self._kept.pop(app_id, None)

        shared = self._read(app_id)
        if shared is not None and shared.token == token:
            self._write(_INVALIDATE, app_id=app_id, encrypted=shared.encrypted)

    def _read_usable(self, app_id: UUID) -> "_Shared":
        shared = self._read(app_id)
        if shared is None:
            raise CredentialsRefused(f"there is no application {app_id}")
        if shared.kind == AppKind.DISTRIBUTED:
            raise CredentialsRefused(
                f"application {shared.name} is distributed and needs authorization by each store"
            )
        if shared.refused_reason is not None:
            raise CredentialsRefused(f"iFood refused them before: {shared.refused_reason}")
        return shared

    def _read(self, app_id: UUID) -> "_Shared | None":
        with self._engine.connect() as connection:
            values = {"app_id": app_id, "pause": PAUSE_AFTER_REFUSAL}
            row = connection.execute(_READ, values).mappings().one_or_none()
        if row is None:
            return None
        return _Shared(**row, token=self._decrypt(app_id, row["encrypted"]))

    def _decrypt(self, app_id: UUID, encrypted: str | None) -> str | None:
        if encrypted is None:
            return None
        try:
            return self._vault.decrypt(encrypted)
        except UsageError:  # its key was taken away: a token, unlike a secret, can be had again
            self._write(_INVALIDATE, app_id=app_id, encrypted=encrypted)
            return None

    def _lock(self, app_id: UUID) -> datetime | None:
        with self._engine.connect() as connection:
            values = {"app_id": app_id, "lock": LOCK}
            locked_until: datetime | None = connection.execute(_LOCK, values).scalar_one_or_none()
        return locked_until

    def _renew_or_keep(self, app_id: UUID, shared: "_Shared", *, locked_until: datetime) -> str:
        """Renewal begins before the end, so a fault of iFood leaves time to use the old one."""
        try:
            return self._renew(app_id, shared, locked_until=locked_until)
        except (ServerFault, Throttled):
            if shared.token is None:
                raise
            return shared.token

    def _renew(self, app_id: UUID, shared: "_Shared", *, locked_until: datetime) -> str:
        mine = {"app_id": app_id, "locked_until": locked_until}
        try:
            secret = self._vault.decrypt(shared.client_secret_encrypted)
            grant = self._ask(app_id, Credentials(shared.client_id, secret))
            encrypted = self._vault.encrypt(grant.access_token)
        except CredentialsRefused as error:
            self._write(_REMEMBER_REFUSAL, **mine, reason=str(error))
            raise
        except (
            UsageError
        ) as error:  # the keys of this process; the next one may have the right ones
            self._write(_UNLOCK, **mine, pause=timedelta(0))
            raise CredentialsRefused(str(error)) from None
        except BaseException as error:  # a shutdown, too, must not leave the lock behind
            faulty = isinstance(error, JobError) and not isinstance(error, Throttled)
            self._write(_UNLOCK, **mine, pause=PAUSE_AFTER_FAULT if faulty else timedelta(0))
            raise

        fresh = fresh_for(grant.lifetime)
        self._write(_STORE, **mine, encrypted=encrypted, lifetime=grant.lifetime, fresh=fresh)
        return self._keep(app_id, grant.access_token, fresh.total_seconds())

    def _ask(self, app_id: UUID, credentials: Credentials) -> Grant:
        self._limiter.acquire(app_id, "oauth", max_wait=MAX_OAUTH_WAIT)
        try:
            return self._request(credentials)
        except Throttled as error:
            self._limiter.close(app_id, "oauth", after=error.after, reason=str(error))
            raise

    def _keep(self, app_id: UUID, token: str, fresh_seconds: float) -> str:
        self._kept[app_id] = _Kept(token, time.monotonic() + fresh_seconds)
        return token

    def _write(self, statement: TextClause, **values: object) -> None:
        with self._engine.connect() as connection:
            connection.execute(statement, values)


def fresh_for(lifetime: timedelta) -> timedelta:
    """
    Say for how long a token is used before it is renewed.

    All of its life but 5 %, at least a minute, so that no request outlives it; a very short life
    (a test server's) is used by half.
    """
    margin = max(timedelta(minutes=1), lifetime * 0.05)
    return max(lifetime - margin, lifetime / 2)


@dataclass(frozen=True)
class _Kept:
    token: str = field(repr=False)
    fresh_until: float  # monotonic seconds


@dataclass(frozen=True)
class _Shared:
    """An application and its token, as the database has them; `token` is None when it has ended."""

    name: str
    kind: str
    client_id: str
    client_secret_encrypted: str = field(repr=False)
    encrypted: str | None = field(repr=False)
    fresh_seconds: float
    refused_reason: str | None
    token: str | None = field(repr=False)
