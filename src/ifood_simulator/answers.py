"""
Answers as data, and iFood's several shapes of an error.

The texts are those that clients met. Bodies of 429 and 403 are documented nowhere; they follow the
default of the Kong gateway that stands before the API.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ifood_simulator.merchants import EmptyFace
from ifood_simulator.world import dumps

JSON, HTML, TEXT = "application/json", "text/html", "text/plain"

_WAF_PAGE = """<!DOCTYPE html>
<html lang="en-US">
<head>
<title>Attention Required! | Cloudflare</title>
<style>body{margin:0;padding:0}</style>
<script>window.addEventListener("DOMContentLoaded", function () {});</script>
</head>
<body>
<h1>Sorry, you have been blocked</h1>
<p>You are unable to access ifood.com.br</p>
<p>Cloudflare Ray ID: <strong>8f2c0a9d7e4b1c36</strong> &bull; Your IP: 203.0.113.7</p>
</body>
</html>
"""
# What Kong writes by itself, by status.
_KONGS_NOTES = {
    403: "Your IP address is not allowed",
    404: "no Route matched with those values",
    502: "An invalid response was received from the upstream server",
    503: "failure to get a peer from the ring-balancer",
    504: "The upstream server is timing out",
}


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


def kongs_note(status: int, message: str | None) -> Answer:
    """What Kong writes by itself at that status, with the number of the request."""
    text = message or _KONGS_NOTES.get(status, _KONGS_NOTES[404])
    return Answer(
        status, dumps({"message": text, "request_id": "1579e7419a81ef1628ceee1431e26810"})
    )


def waf(status: int) -> Answer:
    """The page of a firewall before the gateway, which blocks the caller."""
    return Answer(status, _WAF_PAGE.encode(), HTML)


def text(status: int, message: str | None) -> Answer:
    """What a proxy says that does not speak HTML."""
    return Answer(status, (message or "no healthy upstream").encode(), TEXT)


def nothing(face: EmptyFace, *, missing: Answer, listed: bytes, unlisted: bytes) -> Answer:
    """
    The face that "nothing" has; all mean success with zero rows.

    `listed` is the answer with an empty list, `unlisted` the one with null in the list's place.
    """
    faces = {
        "404": missing,
        "204": NO_CONTENT,
        "blank": Answer(200),
        "list": Answer(200, listed),
        "null": Answer(200, unlisted),
        "bare_list": Answer(200, b"[]"),
        "bare_null": Answer(200, b"null"),
    }
    return faces[face]


def html(status: int) -> Answer:
    """The page of a load balancer without a server behind it."""
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
