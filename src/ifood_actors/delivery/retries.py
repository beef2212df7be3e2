"""What to do with a job that ended in an error. Pure: the middleware acts on the decision."""

from dataclasses import dataclass
from datetime import timedelta

from ifood_actors.errors import (
    CredentialsRefused,
    Foreign,
    JobError,
    LeaseLost,
    NeedsAuthorization,
    Rejected,
    RightMissing,
    SchemaBroken,
    Throttled,
    Unauthorized,
)

# At most this share is added to a backoff, so that jobs that failed together come back apart.
JITTER = 0.1


@dataclass(frozen=True)
class Backoff:
    """The wait before attempt n+1: `min(cap, base * 2^(n-1))`, and at most 10 % more."""

    base: timedelta
    cap: timedelta

    def wait(self, attempts: int, *, jitter: float) -> timedelta:
        """`attempts` charged so far, from 1; `jitter` from 0 to 1."""
        # 2^20 seconds are 12 days: more than any cap, and far from what overflows a timedelta.
        doubled: timedelta = self.base * 2 ** min(attempts - 1, 20)
        return min(self.cap, doubled) * (1 + JITTER * jitter)


@dataclass(frozen=True)
class Retry:
    """Try again after a while; the attempt stays charged."""

    after: timedelta
    code: str


@dataclass(frozen=True)
class Snooze:
    """Wait and come back; the attempt is given back."""

    after: timedelta


@dataclass(frozen=True)
class Fail:
    """End the job; only a person brings it back."""

    code: str


@dataclass(frozen=True)
class LetGo:
    """Change nothing: another worker holds the job by now."""


Decision = Retry | Snooze | Fail | LetGo


def decide(
    error: Exception, *, attempts: int, max_attempts: int, backoff: Backoff, jitter: float
) -> Decision:
    """
    Sort an error into its class.

    Permanent ones fail at once, at any attempt: asking again would be abuse. A throttled job
    waits without being charged. A schema that is broken at the first attempt, or an answer about
    another store, is asked for once more, since a gateway or a cache may have answered in iFood's
    place. Everything else, the unknown included, backs off until the attempts are used up.
    """
    match error:
        case LeaseLost():
            return LetGo()
        case Throttled(after=after):
            return Snooze(after)
        case (
            Rejected(code=code)
            | Unauthorized(code=code)
            | CredentialsRefused(code=code)
            | NeedsAuthorization(code=code)
            | RightMissing(code=code)
        ):
            return Fail(code)
        case SchemaBroken(code=code) | Foreign(code=code) if attempts > 1:
            return Fail(code)
        case JobError(code=code):
            return _retry(code, attempts, max_attempts, backoff.wait(attempts, jitter=jitter))
        case _:
            return _retry(
                JobError.code, attempts, max_attempts, backoff.wait(attempts, jitter=jitter)
            )


def _retry(code: str, attempts: int, max_attempts: int, after: timedelta) -> Decision:
    return Retry(after, code) if attempts < max_attempts else Fail(code)
