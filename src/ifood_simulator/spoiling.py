"""What a fault makes of an answer."""

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
from ifood_simulator.faults import Fault
from ifood_simulator.oddities import odd
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


def instead(fault: Fault) -> Answer | None:
    """The answer that a replacing fault gives in place of the right one; None for the others."""
    match fault.name:
        case "status":
            return _status(fault)
        case "redirect":
            headers = {"Location": fault.location, **fault.headers}
            return Answer(fault.status or 302, headers=headers)
        case "refused_refresh":
            return error(401, "Unauthorized", fault.message or "Invalid refresh token")
        case "huge":
            return Answer(200, b'{"sales":["' + b"x" * (fault.mebibytes * _MEBIBYTE) + b'"]}')
        case name:
            return _FIXED.get(name)


def spoil(fault: Fault, answer: Answer) -> Answer:
    """The right answer with its body damaged, for faults that do this; the others keep it."""
    match fault.name:
        case "nan":
            amount = rb"\g<1>" + fault.text.encode()
            return replace(answer, body=_AMOUNT.sub(amount, answer.body, count=1))
        case "odd" if answer.status == HTTPStatus.OK:
            return replace(answer, body=odd(answer.body, fault.odd))
        case "truncated":
            return replace(answer, body=answer.body[: len(answer.body) // 2])
        case _:
            return answer


def _status(fault: Fault) -> Answer:
    status = fault.status or 500
    match fault.body:
        case "empty":
            answer = Answer(status)
        case "html":
            answer = answers.html(status)
        case "waf":
            answer = answers.waf(status)
        case "kong":
            answer = answers.kongs_note(status, fault.message)
        case "text":
            answer = answers.text(status, fault.message)
        case "json":
            answer = _json(status, fault.message)
    return replace(answer, headers=fault.headers)


def _json(status: int, message: str | None) -> Answer:
    if message is not None:
        return error(status, str(status), message)
    known = {answer.status: answer for answer in (SERVER_ERROR, THROTTLED, UNAUTHORIZED)}
    return known.get(status, kong(status, f"simulated status {status}"))
