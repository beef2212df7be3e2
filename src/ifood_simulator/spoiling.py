"""What a quirk makes of an answer."""

import re
from dataclasses import replace
from http import HTTPStatus

from ifood_simulator import answers
from ifood_simulator.answers import (
    NOT_YOUR_STORE,
    SERVER_ERROR,
    THROTTLED,
    UNAUTHORIZED,
    Answer,
    error,
    kong,
)
from ifood_simulator.oddities import odd
from ifood_simulator.quirks import Quirk
from ifood_simulator.world import dumps

_MEBIBYTE = 1024 * 1024
_AMOUNT = re.compile(
    rb'("(?:bag|amount|originalPaymentAmount|balance|total|averageTicket|expiresIn)":)-?[0-9.]+'
)

_HOLLOW = {"page": 1, "size": 1, "total": 1_000_000, "pageCount": 1_000_000, "sales": []}
_FIXED = {
    "hollow": Answer(200, dumps(_HOLLOW)),
    "drift": Answer(200, dumps({"data": {"items": [], "next": None}, "version": 4})),
    "expired_token": UNAUTHORIZED,
    "revoked": NOT_YOUR_STORE,
}


def instead(quirk: Quirk) -> Answer | None:
    """The answer that a replacing quirk gives in place of the right one; None for the others."""
    match quirk.quirk:
        case "status":
            return _status(quirk)
        case "redirect":
            headers = {"Location": quirk.location, **quirk.headers}
            return Answer(quirk.status or 302, headers=headers)
        case "refused_refresh":
            return error(401, "Unauthorized", quirk.message or "Invalid refresh token")
        case "huge":
            return Answer(200, b'{"sales":["' + b"x" * (quirk.mebibytes * _MEBIBYTE) + b'"]}')
        case name:
            return _FIXED.get(name)


def spoil(quirk: Quirk, answer: Answer) -> Answer:
    """The right answer with its body damaged, for quirks that do this; the others keep it."""
    match quirk.quirk:
        case "nan":
            amount = rb"\g<1>" + quirk.text.encode()
            return replace(answer, body=_AMOUNT.sub(amount, answer.body, count=1))
        case "odd" if answer.status == HTTPStatus.OK:
            return replace(answer, body=odd(answer.body, quirk.odd))
        case "truncated":
            return replace(answer, body=answer.body[: len(answer.body) // 2])
        case _:
            return answer


def _status(quirk: Quirk) -> Answer:
    status = quirk.status or 500
    match quirk.body:
        case "empty":
            answer = Answer(status)
        case "html":
            answer = answers.html(status)
        case "waf":
            answer = answers.waf(status)
        case "kong":
            answer = answers.kongs_note(status, quirk.message)
        case "text":
            answer = answers.text(status, quirk.message)
        case "json":
            answer = _json(status, quirk.message)
    return replace(answer, headers=quirk.headers)


def _json(status: int, message: str | None) -> Answer:
    if message is not None:
        return error(status, str(status), message)
    known = {answer.status: answer for answer in (SERVER_ERROR, THROTTLED, UNAUTHORIZED)}
    return known.get(status, kong(status, f"simulated status {status}"))
