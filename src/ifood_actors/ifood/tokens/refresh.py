"""
Access tokens: one for each authorization and lifetime, shared by all processes.

A token is kept in this process, and encrypted in Postgres. Who finds none there locks the
authorization and asks iFood; the others wait for what it stores. So a thousand jobs that start
together cost one call of the 20 a minute that iFood allows (iFood rate-limit guide), and a refresh
token, which works once, is never spent twice. See docs/decisions/0010-one-renewer-at-a-time.md.
"""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ifood_actors.errors import (
    CredentialsRefused,
    JobError,
    NeedsAuthorization,
    ServerFault,
    Throttled,
    UsageError,
)
from ifood_actors.ifood.http import ApiIdentity, AppCredentials, Grant
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.tokens.cipher import Cipher
from ifood_actors.ifood.tokens.refusals import log_needed, needed, note_refusal, raise_if_refused
from ifood_actors.ifood.tokens.store import Authorizations, Lock, StoredAuthorization, fresh_for
from ifood_actors.logs import get_logger

log = get_logger(__name__)

PAUSE_AFTER_FAULT = timedelta(seconds=10)
PAUSE_WITHOUT_KEY = timedelta(minutes=1)  # for which a job waits for another process
MAX_OAUTH_WAIT = timedelta(seconds=20)
WAIT_FOR_OTHERS = timedelta(seconds=5)
# A newer token, such as one that sees a newly linked store, is noticed within this time.
KEPT_FOR = timedelta(seconds=60)
# How long saving an answer is tried again. It may hold the only refresh token there is.
SAVE_WITHIN = timedelta(seconds=30)

_LOOK_EVERY = 0.2  # seconds
_MOST_REFRESHES = 64  # at a time, in this process; the limiter lets far fewer through

TokenRequest = Callable[[AppCredentials, str | None], Grant]


class Tokens:
    """The access tokens of all applications; safe for threads and for many processes."""

    def __init__(
        self, engine: Engine, *, cipher: Cipher, limiter: Limiter, request: TokenRequest
    ) -> None:
        """`request` asks iFood for a token: `request_token` with its client given."""
        self._stored = Authorizations(engine, cipher)
        self._cipher = cipher
        self._limiter = limiter
        self._request = request
        self._kept: dict[ApiIdentity, _Kept] = {}
        self._refused: dict[ApiIdentity, str] = {}  # the last of each, which is never used again
        # What interrupts a job (a shutdown, its time limit) is raised in the job's thread, and
        # must not come between an answer and its saving. So refreshes run in threads of their own,
        # which a process that ends waits for until it is killed: a scheduler 25 s after its signal,
        # a worker 29 s. A refresh that takes longer keeps its lock, which ends by itself.
        self._sheltered = ThreadPoolExecutor(_MOST_REFRESHES, thread_name_prefix="tokens")

    def token(self, identity: ApiIdentity) -> str:
        """
        Return a token that lives, from this process, from Postgres, or from iFood.

        Raises NeedsAuthorization and CredentialsRefused (once iFood has refused twice, minutes
        apart), Throttled when no call is free, another process is slow, iFood has refused once, or
        this process lacks a key, and what else `request_token` raises.
        """
        kept = self._kept.get(identity)
        refused = self._refused.get(identity)
        if kept is not None and time.monotonic() < kept.until and kept.token != refused:
            return kept.token

        give_up = time.monotonic() + WAIT_FOR_OTHERS.total_seconds()
        while True:
            held = self._read(identity)
            token = self._stored.token(held)
            if token is not None and token == self._refused.get(identity):
                self._stored.forget(held)  # it was read just before that happened
                continue
            if token is not None and held.fresh_seconds > 0:
                return self._keep(identity, token, held.fresh_seconds)
            if token is None:
                raise_if_refused(held)
                if held.encrypted is not None and held.fresh_seconds > 0:
                    raise self._unreadable(held, "its access token")

            lock = self._stored.lock(held, renewed_at=None)
            if lock is not None:
                return self._refresh_or_keep(identity, held, lock, token=token)
            if token is not None:
                return token
            if time.monotonic() > give_up:
                raise Throttled("another process refreshes the token", after=timedelta(seconds=2))
            Event().wait(_LOOK_EVERY)

    def refresh(self, identity: ApiIdentity, *, renewed_at: datetime | None = None) -> bool:
        """
        Replace a token before its time; False when another process does, or has done so.

        With `renewed_at`, only the token that was given at this instant is replaced. Raises what
        `token` raises, and a first refusal as it comes.
        """
        held = self._read(identity)
        raise_if_refused(held)
        lock = self._stored.lock(held, renewed_at=renewed_at or held.renewed_at)
        if lock is None:
            return False
        self._refresh(identity, held, lock)
        return True

    def retry(self, identity: ApiIdentity) -> None:
        """
        Ask for a token although iFood has refused one; who needed authorization may need none.

        Raises what `refresh` raises.
        """
        held = self._read(identity)
        lock = self._stored.lock_anyway(held)
        if lock is None:
            raise Throttled("another process refreshes the token", after=PAUSE_AFTER_FAULT)
        self._refresh(identity, held, lock)

    def invalidate(self, identity: ApiIdentity, token: str) -> None:
        """Forget a token that iFood refused (401), unless it has been replaced since."""
        # Not by taking it out of what is kept: a thread that has read it already would put it back.
        self._refused[identity] = token
        held = self._stored.read(identity)
        if held is not None and self._stored.token(held) == token:
            self._stored.forget(held)

    def _read(self, identity: ApiIdentity) -> StoredAuthorization:
        held = self._stored.read(identity)
        if held is None:
            raise CredentialsRefused(f"there is no application {identity.app_id}")
        if held.id is None:
            raise NeedsAuthorization(needed(held))
        return held

    def _refresh_or_keep(
        self, identity: ApiIdentity, held: StoredAuthorization, lock: Lock, *, token: str | None
    ) -> str:
        """A refresh begins before the end, so what iFood says leaves time to use the old one."""
        try:
            return self._refresh(identity, held, lock)
        except (ServerFault, Throttled):
            if token is None:
                raise
            return token
        except (NeedsAuthorization, CredentialsRefused) as refused:
            if token is not None:
                return token
            raise_if_refused(self._read(identity))
            raise Throttled(str(refused), after=PAUSE_AFTER_FAULT) from None

    def _refresh(self, identity: ApiIdentity, held: StoredAuthorization, lock: Lock) -> str:
        with self._settling(lock):
            secret, refresh_token = self._secrets(held, lock)
            self._limiter.acquire(held.app_id, "oauth", max_wait=MAX_OAUTH_WAIT)

        # From here on the refresh token may be spent at any instant.
        credentials = AppCredentials(held.client_id, secret)
        asking = self._sheltered.submit(
            copy_context().run, self._ask, held, lock, credentials, refresh_token
        )
        grant: Grant = asking.result()
        if grant.access_token == self._refused.get(identity):
            del self._refused[identity]  # iFood gives it again, so it is good again
        return self._keep(identity, grant.access_token, fresh_for(grant.lifetime).total_seconds())

    def _secrets(self, held: StoredAuthorization, lock: Lock) -> tuple[str, str | None]:
        if held.distributed and lock.spent is None:
            if self._stored.need(lock, reason="it has no refresh token"):
                log_needed(held, reason="it has no refresh token")
            raise NeedsAuthorization(needed(held))
        try:
            secret = self._cipher.decrypt(held.client_secret_encrypted)
            return secret, lock.spent and self._cipher.decrypt(lock.spent)
        except UsageError:
            raise self._unreadable(held, "its refresh token or client secret") from None

    def _unreadable(self, held: StoredAuthorization, what: str) -> Throttled:
        """Have the job wait for a process that has the key, and people be told."""
        host = socket.gethostname()
        log.error("secret.unreadable", app=held.app, label=held.name, what=what, host=host)
        self._stored.note_unreadable(held, host=host)
        return Throttled(
            f"{host} cannot decrypt {what}: its IFOOD_ENCRYPTION_KEYS lack a key",
            after=PAUSE_WITHOUT_KEY,
        )

    def _ask(
        self,
        held: StoredAuthorization,
        lock: Lock,
        credentials: AppCredentials,
        refresh_token: str | None,
    ) -> Grant:
        with self._settling(lock):
            try:
                grant = self._request(credentials, refresh_token)
            except Throttled as error:
                self._limiter.cool_down(held.app_id, "oauth", after=error.after, reason=str(error))
                raise
            except (NeedsAuthorization, CredentialsRefused) as error:
                raise note_refusal(
                    self._stored, self._limiter, error, held=held, lock=lock
                ) from None
        self._save(lock, grant)
        return grant

    def _save(self, lock: Lock, grant: Grant) -> None:
        give_up = time.monotonic() + SAVE_WITHIN.total_seconds()
        while True:
            try:
                return self._stored.save(lock, grant)
            except DBAPIError:
                if time.monotonic() > give_up:
                    raise
            Event().wait(_LOOK_EVERY)

    @contextmanager
    def _settling(self, lock: Lock) -> Iterator[None]:
        """End the lock as the error in the block demands; without one it is still held."""
        try:
            yield
        except (NeedsAuthorization, CredentialsRefused):
            raise  # what noted the refusal has ended the lock
        except BaseException as error:  # a shutdown, too, must not leave the lock behind
            faulty = isinstance(error, JobError) and not isinstance(error, Throttled)
            self._stored.unlock(lock, pause=PAUSE_AFTER_FAULT if faulty else timedelta(0))
            raise

    def _keep(self, identity: ApiIdentity, token: str, fresh_seconds: float) -> str:
        seconds = min(fresh_seconds, KEPT_FOR.total_seconds())
        self._kept[identity] = _Kept(token, time.monotonic() + seconds)
        return token


@dataclass(frozen=True)
class _Kept:
    token: str = field(repr=False)
    until: float  # monotonic seconds
