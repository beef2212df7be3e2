"""What an answer of iFood means: an error by its status alone, a value by its JSON."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NoReturn, TypeAlias

import httpx
import simplejson

from ifood_actors.errors import (
    Forbidden,
    JobError,
    Rejected,
    SchemaBroken,
    ServerFault,
    Throttled,
    Unauthorized,
)
from ifood_actors.ifood.transport import Answer

# No float: what is money must never have been one.
JsonValue: TypeAlias = (
    dict[str, "JsonValue"] | list["JsonValue"] | str | int | Decimal | bool | None
)

DEFAULT_PAUSE = timedelta(seconds=30)  # after a 429 that does not say how long
SHORTEST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(hours=1)

_COUNT = re.compile(r"\d{1,9}", re.ASCII)
_SECONDS = re.compile(r"\d+(\.\d+)?", re.ASCII)


def raise_for_ifood(answer: Answer) -> None:
    """
    Return for 200 and 204; raise what the caller must do next for everything else.

    Only the status decides: bodies come in at least four shapes, and as HTML from the gateway
    (docs/ifood-api.md, section 8). A redirect is never followed: the API has none, so it comes
    from something in between (a proxy, a maintenance page) and is a fault that may pass. So is
    any other 2xx, such as a 206 that holds a part of the money, and a 1xx that no final answer
    follows.
    """
    status = answer.status
    if status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
        return

    message = f"{status} {error_text(answer)}".strip()
    match status:
        case HTTPStatus.UNAUTHORIZED:
            raise Unauthorized(message)
        case HTTPStatus.FORBIDDEN:
            raise Forbidden(message, status=status)
        case HTTPStatus.TOO_MANY_REQUESTS:
            raise Throttled(message, after=pause(answer.headers))
        case HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.TOO_EARLY:
            raise ServerFault(message, status=status)
        case _ if httpx.codes.is_client_error(status):
            raise Rejected(message, status=status)
        case _:
            raise ServerFault(message, status=status)


def error_text(answer: Answer) -> str:
    """
    Find the message in an error body, cleaned for a log; the whole body when it is not JSON.

    Shapes: `{"error": {"message"}}`, `{"error", "message"}`, `{"code", "message"}`, `{"message"}`
    (docs/ifood-api.md, section 8).
    """
    text = answer.body[:20_000].decode(errors="replace")
    try:
        document = simplejson.loads(text)
    except (ValueError, RecursionError):
        return answer.clean(text)

    fault = document.get("error") if isinstance(document, dict) else None
    for part in (fault, document):
        if isinstance(part, dict) and isinstance(part.get("message"), str):
            return answer.clean(part["message"])
    return answer.clean(text)


def is_served(answer: Answer) -> bool:
    """
    Tell whether iFood itself answered, be it by a refusal.

    A fault, a 429 and the gateway's HTML (a page that says "maintenance" with 200) are no sign
    that it works.
    """
    try:
        raise_for_ifood(answer)
    except (ServerFault, Throttled):
        return False
    except JobError:
        pass
    return not answer.body.lstrip().startswith(b"<")


def pause(headers: httpx.Headers) -> timedelta:
    """Say how long a 429 sends a job away: as it asks, else for 30 s."""
    return asked_pause(headers) or DEFAULT_PAUSE


def asked_pause(headers: httpx.Headers) -> timedelta | None:
    """
    Say how long a 429 asks to wait, between 1 s and 1 h; None when it does not say.

    `Retry-After` (seconds or a date) comes first, as some clients have seen it; then
    `X-RateLimit-Reset`, in seconds (docs/ifood-api.md, section 1).
    """
    asked = _retry_after(headers)
    return rate_headers(headers).reset if asked is None else _bounded(asked)


@dataclass(frozen=True)
class RateHeaders:
    """What an answer tells of the limit; None where it is silent, or says nonsense."""

    limit: int | None
    remaining: int | None
    reset: timedelta | None


def rate_headers(headers: httpx.Headers) -> RateHeaders:
    """Read `X-RateLimit-Limit`, `-Remaining`, `-Reset` (docs/ifood-api.md, section 1)."""
    reset = _seconds(headers.get("X-RateLimit-Reset", ""))
    return RateHeaders(
        limit=_count(headers.get("X-RateLimit-Limit", "")) or None,
        remaining=_count(headers.get("X-RateLimit-Remaining", "")),
        reset=None if reset is None else _bounded(reset),
    )


def _count(value: str) -> int | None:
    return int(value) if _COUNT.fullmatch(value.strip()) else None


def _bounded(seconds: float) -> timedelta:
    return timedelta(seconds=min(seconds, LONGEST_PAUSE.total_seconds()))


def _retry_after(headers: httpx.Headers) -> float | None:
    value = headers.get("Retry-After", "")
    seconds = _seconds(value)
    if seconds is not None:
        return seconds

    until = _date(value)
    # The server's own clock, when it is given: ours may differ.
    now = _date(headers.get("Date", "")) or datetime.now(UTC)
    if until is None or until < now:
        return None
    return max((until - now).total_seconds(), SHORTEST_PAUSE.total_seconds())


def _seconds(value: str) -> float | None:
    if not _SECONDS.fullmatch(value.strip()):
        return None
    return max(float(value), SHORTEST_PAUSE.total_seconds())


def _date(value: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def parse(answer: Answer) -> JsonValue:
    """
    Read a body as JSON, every number with a fraction as Decimal (docs/ifood-api.md, section 6).

    Raises ServerFault when it is no JSON (cut, or the gateway's HTML), SchemaBroken when it is,
    but holds NaN, Infinity, a number of thousands of digits or of a monstrous exponent, or endless
    nesting.
    """
    try:
        value: JsonValue = simplejson.loads(
            answer.body.decode("utf-8-sig"), use_decimal=True, parse_constant=_refuse
        )
    except (UnicodeDecodeError, simplejson.JSONDecodeError) as error:
        raise ServerFault(f"the answer is no JSON: {answer.clean(str(error))}") from None
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise SchemaBroken(f"the answer cannot be read: {answer.clean(str(error))}") from None
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
