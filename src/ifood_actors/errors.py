"""
Every error that crosses a module, named by what its reader does next.

Two families: errors that end a command (they carry an exit code), and errors that end a delivery
(they carry the `error_code` that the ledger stores). No text in here may hold a secret, since it is
logged, stored and shown.
"""

from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus
from typing import ClassVar, Literal


def causes(error: BaseException) -> Iterator[BaseException]:
    """Return an exception, what it came from, what that came from, and so on."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


class IfoodActorsError(Exception):
    """The work failed. Its text is one line: what, where, what to do."""

    exit_code: ClassVar[int] = 1


class UsageError(IfoodActorsError):
    """Wrong usage or configuration: nothing was started; correct it and call again."""

    exit_code = 2


# Why a service is unavailable, where that is known and more than "it does not answer".
UnavailableCause = Literal["certificate", "limit"]


class ServiceUnavailable(IfoodActorsError):
    """
    A service that the command needs cannot be reached: start it or correct its address.

    `cause` is known where that is not the remedy: a certificate that is refused, of which the text
    tells what to do, or a limit of connections.
    """

    exit_code = 3

    def __init__(self, message: str, *, cause: UnavailableCause | None = None) -> None:
        super().__init__(message)
        self.cause = cause


class JobError(IfoodActorsError):
    """A delivery ended without success; `code` is what the ledger stores as `error_code`."""

    code: ClassVar[str] = "unknown"


class Rejected(JobError):
    """The API will refuse this request however often it is sent: fail the job at once."""

    code = "rejected"

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class Forbidden(Rejected):
    """The store has not authorised the application, or took it back: park the account."""

    code = "forbidden"


class SchemaBroken(JobError):
    """An answer does not have the shape that money can be read from: never store it."""

    code = "schema"


class Foreign(JobError):
    """An answer is about another merchant or other days: ask once more, then fail."""

    code = "foreign"


class Unauthorized(JobError):
    """The API refused the access token (401): renew it once, then fail."""

    code = "unauthorized"


class CredentialsRefused(JobError):
    """
    The token endpoint refused the application's credentials: fail, and alert a person.

    `of_application`: client id or secret are refused, and so all authorizations.
    """

    code = "credentials"

    def __init__(self, message: str, *, of_application: bool = False) -> None:
        super().__init__(message)
        self.of_application = of_application


class NeedsAuthorization(JobError):
    """The store's authorization has ended: fail, and have the owner confirm it again."""

    code = "needs_authorization"


class Throttled(JobError):
    """
    Not now, for no fault of the job: come back after `after`, without charging an attempt.

    `status` is that of the answer that asked for it, 429; None when no answer did.
    """

    code = "throttled"

    def __init__(self, message: str, *, after: timedelta, status: int | None = None) -> None:
        super().__init__(message)
        self.after = after
        self.status = status


class ServerFault(JobError):
    """
    The API or the way to it failed (408, 425, 5xx, network, time-out): back off, try again.

    `status` is that of the answer; None when there was none that could be read, or when it was the
    token endpoint that failed.
    """

    code = "server_fault"

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class GatewayFault(ServerFault):
    """
    A gateway answered in the API's place: believe nothing that it says, back off, try again.

    So it ends no job for good, is no sign that a store has nothing, and refuses no credentials.
    """

    code = "gateway"

    @property
    def refuses(self) -> bool:
        """Whether it turns the request away, as it will every other of the application."""
        return self.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class DatabaseFault(JobError):
    """Postgres did not answer, or gave up on a statement: back off, try again."""

    code = "database"


class RightMissing(JobError):
    """Postgres denies this login what the job needs: fail, and have `roles.sql` run again."""

    code = "right_missing"


class TimeLimitReached(JobError):
    """The job ran longer than any job may: back off, try again."""

    code = "time_limit"


class LeaseLost(JobError):
    """Another worker owns the job by now: store nothing, touch nothing."""

    code = "lease_lost"
