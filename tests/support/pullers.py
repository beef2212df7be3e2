"""
Processes that ask iFood as fast as the fleet's limiter lets them: the client of a worker, no jobs.

A minute is shorter in them, but threads are late and networks waver as they do in a whole one: the
slack is that of production, and a larger share.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from uuid import UUID

from ifood_actors.db import connect
from ifood_actors.errors import Throttled
from ifood_actors.ifood import request_slots
from ifood_actors.ifood.connect import shared_access
from ifood_actors.ifood.http import ApiIdentity, IfoodClient
from ifood_actors.ifood.http.token_requests import request_token
from ifood_actors.ifood.http.transport import http_client
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.tokens import Cipher, Tokens

THREADS = 4
_SPAN = {"beginCalculationDate": "2026-01-01", "endCalculationDate": "2026-01-20"}


@dataclass(frozen=True)
class Errand:
    """What a process needs to know; `per_minute` requests may be sent in `minute`."""

    database_url: str
    key: str
    api_url: str
    app_id: UUID
    merchant_id: str
    per_minute: int
    minute: timedelta


@contextmanager
def pulling(errand: Errand, *, processes: int) -> Iterator[list[BaseProcess]]:
    """Let processes run for the length of the block; then they are killed."""
    fleet = [start(errand) for _ in range(processes)]
    try:
        yield fleet
    finally:
        for process in fleet:
            process.kill()
            process.join()


def start(errand: Errand) -> BaseProcess:
    process = get_context("spawn").Process(target=_pull, args=(errand,), daemon=True)
    process.start()
    return process


def _pull(errand: Errand) -> None:
    request_slots.WINDOW = errand.minute

    engine = connect(errand.database_url, application_name="puller", pool_size=THREADS)
    pace = Limiter(engine, rates={"financial": errand.per_minute, "oauth": 600})
    http = http_client(threads=THREADS)
    request = partial(request_token, http=http, base_url=errand.api_url)
    tokens = Tokens(engine, cipher=Cipher([errand.key]), limiter=pace, request=request)
    client = IfoodClient(base_url=errand.api_url, http=http, access=shared_access(tokens, pace))

    def ask_for_ever(_thread: int) -> None:
        api = client.merchant(
            ApiIdentity(errand.app_id), errand.merchant_id, on_progress=lambda: None
        )
        while True:
            try:
                api.get("anticipations", _SPAN)
            except Throttled:
                continue

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(ask_for_ever, range(THREADS)))
