"""
What a refusal of the token endpoint means.

An outage may answer 401 as well, and an authorization that is given up costs its owner a call. So
the second refusal of one authorization decides, minutes after the first, and none does while iFood
refuses several in a row. See docs/decisions/0026-the-second-refusal-decides.md.
"""

from datetime import timedelta

from ifood_actors.errors import CredentialsRefused, JobError, NeedsAuthorization, Throttled
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.thresholds import PROBE_EVERY, SEVERAL
from ifood_actors.ifood.tokens.store import Authorizations, Lock, StoredAuthorization
from ifood_actors.logs import get_logger

log = get_logger(__name__)


def note_refusal(
    stored: Authorizations,
    limiter: Limiter,
    error: NeedsAuthorization | CredentialsRefused,
    *,
    held: StoredAuthorization,
    lock: Lock,
) -> JobError:
    """
    Note a refusal for all processes, end the lock, and return the error that it amounts to.

    Several in a row, each another authorization's, leave the application one call of the token
    endpoint a minute, until iFood grants one.
    """
    reason, by_token = str(error), isinstance(error, NeedsAuthorization)
    refusal = stored.refuse(lock, reason=reason, by_token=by_token)
    if refusal is None:
        return error
    if isinstance(error, CredentialsRefused) and error.of_application:
        stored.refuse_all(held, refusal, reason=reason)
    if refusal.in_a_row >= SEVERAL:
        log.error("tokens.stopped", app=held.app, refused=refusal.in_a_row, reason=reason)
        why = f"iFood refuses {refusal.in_a_row} authorizations in a row: {reason}"
        limiter.cool_down(held.app_id, "oauth", after=PROBE_EVERY, reason=why)
    if not refusal.needed:
        return error
    if not held.needs_authorization:
        log_needed(held, reason=reason)
    return NeedsAuthorization(needed(held))


def raise_if_refused(held: StoredAuthorization) -> None:
    """
    Raise what a job without a token must do after a refusal.

    Until the second refusal it waits uncharged.
    """
    if held.needs_authorization:
        raise NeedsAuthorization(needed(held))
    if held.paused_seconds <= 0:
        return
    if held.refused_twice:
        raise CredentialsRefused(f"iFood refused them twice: {held.refused_reason}")
    raise Throttled(
        f"iFood refused once: {held.refused_reason}",
        after=timedelta(seconds=held.paused_seconds),
    )


def log_needed(held: StoredAuthorization, *, reason: str) -> None:
    """Tell, once for each authorization, that only its owner can help."""
    log.error("authorization.needed", app=held.app, label=held.name, reason=reason)


def needed(held: StoredAuthorization) -> str:
    """Say what to do without an authorization that works."""
    name = held.name or "the account"
    return (
        f"{name} has no authorization that works: `ifood-actors apps authorize {held.app}`, "
        "and the owner confirms it"
    )
