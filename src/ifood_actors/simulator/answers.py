"""
Answers as data, and iFood's several shapes of an error.

The texts are those that clients met. Bodies of 429 and 403 are documented nowhere; they follow the
default of the Kong gateway that stands before the API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ifood_actors.simulator.world import dumps

JSON, HTML = "application/json", "text/html"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response before it meets the wire."""

    status: int
    body: bytes = b""
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """Raised where an error is found; the request is answered with `answer`."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def error(
    status: int, code: str, message: str, *, name: str | None = None, details: tuple[str, ...] = ()
) -> Answer:
    """The error object of the API; `name` is the field at fault."""
    document = {"code": code, "message": message, "field": name, "details": list(details)}
    return Answer(status, dumps({"error": document}))


def bad_request(message: str, *, name: str | None = None, details: tuple[str, ...] = ()) -> Answer:
    return error(400, "BadRequest", message, name=name, details=details)


def kong(status: int, message: str) -> Answer:
    """An error of the gateway, which never reached the API."""
    return Answer(status, dumps({"message": message}))


def html(status: int) -> Answer:
    """The page of a load balancer that found nobody behind it."""
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>\r\n"
    return Answer(status, page.encode(), HTML)


NO_CONTENT = Answer(204)
UNAUTHORIZED = error(401, "Unauthorized", "token expired")
NO_TOKEN = kong(401, "Unauthorized")
THROTTLED = kong(429, "API rate limit exceeded")
NOT_YOUR_STORE = kong(403, "user is forbidden to access merchant")
NOT_YOUR_MODULE = kong(403, "ifood-kong-validate-headers-plugin: forbidden")
NO_ROUTE = kong(404, "no Route matched with those values")
NOT_BUILT = kong(501, "iFood has this, its simulator does not")
UNKNOWN_MERCHANT = error(404, "404", "Merchant not found")
SERVER_ERROR = error(500, "InternalServerError", "Unexpected error")
