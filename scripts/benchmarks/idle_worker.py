"""
The worker of `ifood_actors.worker`, except that iFood is a function that has nothing for anybody.

What is left of a job is its way through the queue and the ledger: claim, token (cached), empty
answer, store nothing, succeed; and its slot, a commit of its own, unless BENCH_UNPACED is set. The
answer comes after BENCH_SECONDS.
"""

import os
from functools import partial
from importlib import import_module
from threading import Event

import httpx

from ifood_actors.ifood import connect
from ifood_actors.ifood.limiter import Limiter
from scripts.benchmarks.worker_processes import SECONDS, UNPACED

_SECONDS = float(os.environ.get(SECONDS, "0"))


def _answer(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/oauth/token"):
        return httpx.Response(200, json={"accessToken": "bench", "expiresIn": 10_800})
    if _SECONDS:
        Event().wait(_SECONDS)
    return httpx.Response(404, json={"code": "404", "message": "nothing"})


def _unpaced(*_: object, **__: object) -> None:
    """Reserve nothing: whoever asks may send at once."""


# Under Dramatiq's command the worker composes itself when it is imported. So these two are put in
# place before that: all else is then what runs in production.
connect.connect_ifood = partial(connect.connect_ifood, transport=httpx.MockTransport(_answer))
if UNPACED in os.environ:
    Limiter.acquire = _unpaced  # type: ignore[method-assign,assignment] # in this process alone
import_module("ifood_actors.worker")
