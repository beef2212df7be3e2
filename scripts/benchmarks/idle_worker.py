"""
The worker of `ifood_actors.worker`, except that iFood is a function that has nothing for anybody.

What is left of a job is its way through the queue and the ledger: claim, token (cached), empty
answer, store nothing, succeed; and its slot, a commit of its own, unless BENCH_UNPACED is set.
"""

import os
from functools import partial
from importlib import import_module

import httpx

from ifood_actors.ifood import connect
from ifood_actors.ifood.limiter import Limiter
from scripts.benchmarks.worker_processes import UNPACED


def _answer(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/oauth/token"):
        return httpx.Response(200, json={"accessToken": "bench", "expiresIn": 10_800})
    return httpx.Response(404, json={"code": "404", "message": "nothing"})


def _unpaced(*_: object, **__: object) -> None:
    """Reserve nothing: whoever asks may send at once."""


# Under Dramatiq's command the worker composes itself when it is imported. So these two are put in
# place before that: all else is then what runs in production.
connect.connect_ifood = partial(connect.connect_ifood, transport=httpx.MockTransport(_answer))
if UNPACED in os.environ:
    Limiter.acquire = _unpaced  # type: ignore[method-assign,assignment] # in this process alone
import_module("ifood_actors.worker")
