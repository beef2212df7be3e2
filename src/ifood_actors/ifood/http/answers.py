"""
What an answer means: first who wrote it, then an error by its status, a value by its JSON.

Only what iFood itself writes may end a job, empty a table or cost a token.
"""

import re
from codecs import BOM_UTF8
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from html import unescape
from http import HTTPStatus
from typing import Literal, NoReturn, TypeAlias

import httpx
import simplejson

from ifood_actors.errors import (
    Forbidden,
    GatewayFault,
    JobError,
    Rejected,
    SchemaBroken,
    ServerFault,
    Throttled,
    Unauthorized,
)
from ifood_actors.ifood.http.item_bounds import fraction, whole
from ifood_actors.ifood.http.transport import Answer

# No float: what is money must never have been one.
JsonValue: TypeAlias = (
    dict[str, "JsonValue"] | list["JsonValue"] | str | int | Decimal | bool | None
)

DEFAULT_PAUSE = timedelta(seconds=30)  # after a 429 that does not say how long
SHORTEST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(hours=1)

Author = Literal["ifood", "gateway", "unknown"]

# What Kong, the gateway before the API, writes when it answers itself: `{"message": TEXT}`, since
# version 3.5 with a `request_id`. The places are those in its sources, github.com/Kong/kong.
_NOTES_OF_GATEWAYS = {
    "no Route matched with those values",  # 404, kong/runloop/handler.lua
    "An invalid response was received from the upstream server",  # 502, kong/pdk/response.lua
    "The upstream server is currently unavailable",  # 503, kong/pdk/response.lua
    "The upstream server is timing out",  # 504, kong/pdk/response.lua
    "failure to get a peer from the ring-balancer",  # 503, kong/runloop/balancer/init.lua
    "name resolution failed",  # 503, kong/runloop/balancer/init.lua
    "Your IP address is not allowed",  # 403, kong/plugins/ip-restriction/handler.lua
}
_LONGEST_NOTE = 4_096  # bytes; longer JSON is data, and read once only

_LOOKED_THROUGH = 20_000  # bytes of a body, for its message or title
_TITLE_LENGTH = 80
_PAGE = re.compile(r"\s*<|.*<(!doctype|html|head|title)\b", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title\b[^<>]*>([^<]*)", re.IGNORECASE)
_COUNT = re.compile(r"\d{1,9}", re.ASCII)
_SECONDS = re.compile(r"\d+(\.\d+)?", re.ASCII)


def author_of(answer: Answer) -> Author:
    """
    Return who wrote an answer of any status: iFood, or a gateway in its place.

    iFood writes JSON, or nothing at all. A gateway writes pages and other text, and a few notes in
    JSON that are known. JSON that was cut may be the one or the other's. (docs/ifood-api.md,
    section 8)
    """
    body = answer.body.removeprefix(BOM_UTF8).strip()
    if not body or body == b"null":
        return "ifood"
    if body[:1] not in b"{[":
        return "gateway"
    if len(body) > _LONGEST_NOTE:
        return "ifood" if body[-1:] in b"}]" else "unknown"
    try:
        document = parse(answer)
    except ServerFault:
        return "unknown"
    except SchemaBroken:
        return "ifood"
    message = document.get("message") if isinstance(document, dict) else None
    noted = isinstance(message, str) and message.strip() in _NOTES_OF_GATEWAYS
    return "gateway" if noted else "ifood"


def raise_for_ifood(answer: Answer) -> None:
    """
    Return for 200 and 204; raise what the caller must do next for everything else.

    A 429 counts from any author. Anything else that a gateway writes is a fault that may pass,
    also with 200, as is an answer of unknown author. Of iFood's own the status decides, since
    their bodies come in at least four shapes (docs/ifood-api.md, section 8). A redirect is never
    followed: the API has none, so it comes from something in between (a proxy, a maintenance page)
    and is a fault that may pass. The same goes for any other 2xx, such as a 206 with a part of the
    money, and for a 1xx that no final answer follows.
    """
    status = answer.status
    author = author_of(answer)
    if author == "ifood" and status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
        return

    message = f"{status} {error_text(answer)}".strip()
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise Throttled(message, after=pause(answer.headers), status=status)
    match author, status:
        case "gateway", _:
            raise GatewayFault(message, status=status)
        case "unknown", _:
            raise ServerFault(f"{status} the answer is no whole JSON", status=status)
        case _, HTTPStatus.UNAUTHORIZED:
            raise Unauthorized(message)
        case _, HTTPStatus.FORBIDDEN:
            raise Forbidden(message, status=status)
        case _, HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.TOO_EARLY:
            raise ServerFault(message, status=status)
        case _ if httpx.codes.is_client_error(status):
            raise Rejected(message, status=status)
        case _:
            raise ServerFault(message, status=status)


def error_text(answer: Answer) -> str:
    """
    Find the message in an error body, cleaned for a log; a page is told by its title alone.

    Shapes: `{"error": {"message"}}`, `{"error", "message"}`, `{"code", "message"}`, `{"message"}`
    (docs/ifood-api.md, section 8). Any other body is given as it is.
    """
    text = answer.body[:_LOOKED_THROUGH].decode("utf-8-sig", errors="replace")
    message = _message_in(text) or text
    if not _PAGE.match(message):
        return answer.clean(message)
    title = _TITLE.search(message)
    named = answer.clean(unescape(title[1]) if title else "").replace('"', "'")
    return f'HTML page "{named[:_TITLE_LENGTH].strip()}"' if named else "HTML page without a title"


def _message_in(text: str) -> str | None:
    try:
        document = simplejson.loads(text)
    except (ValueError, RecursionError):
        return None

    fault = document.get("error") if isinstance(document, dict) else None
    for part in (fault, document):
        if isinstance(part, dict) and isinstance(part.get("message"), str):
            message: str = part["message"]
            return message
    return None


def is_served(answer: Answer) -> bool:
    """
    Return whether iFood itself answered, also if it refused.

    A fault, a 429 and an answer of a gateway are no sign that iFood works: what fails a job counts
    for the breaker as well.
    """
    try:
        raise_for_ifood(answer)
    except (ServerFault, Throttled):
        return False
    except JobError:
        pass
    return True


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

    A number that no reader can be trusted with, such as 1e131000, is `Unreadable`: the item that
    holds it cannot be read, the others can. Raises ServerFault when the body is no JSON (cut, or a
    page), SchemaBroken when it is, but holds NaN or Infinity, or is nested without end.
    """
    try:
        value: JsonValue = simplejson.loads(
            answer.body.decode("utf-8-sig"),
            parse_int=whole,
            parse_float=fraction,
            parse_constant=_refuse,
        )
    except (UnicodeDecodeError, simplejson.JSONDecodeError) as error:
        raise ServerFault(f"the answer is no JSON: {answer.clean(str(error))}") from None
    except (ValueError, RecursionError) as error:
        raise SchemaBroken(f"the answer cannot be read: {answer.clean(str(error))}") from None
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")
