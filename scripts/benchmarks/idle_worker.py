"""
The worker of `ifood_actors.worker`, except that iFood is a function that has nothing for anybody.

What is left of a job is its way through the queue and the ledger: claim, token (cached), empty
answer, store nothing, succeed; and its slot, a commit of its own, unless BENCH_UNPACED is set.
"""

import os
import socket
from dataclasses import replace
from functools import partial

import dramatiq
import httpx

from ifood_actors import config, logs
from ifood_actors.db import connect
from ifood_actors.ifood import (
    IfoodClient,
    Tokens,
    Vault,
    fleet_access,
    http_client,
    request_token,
)
from ifood_actors.messaging.broker import ladder_broker
from ifood_actors.messaging.middleware import middleware
from ifood_actors.messaging.retries import Backoff
from ifood_actors.worker.actors import declare_actors
from ifood_actors.worker.composition import fleet_limiter
from ifood_actors.worker.leases import Leases
from scripts.benchmarks.fleet import UNPACED


def _answer(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/oauth/token"):
        return httpx.Response(200, json={"accessToken": "bench", "expiresIn": 10_800})
    return httpx.Response(404, json={"code": "404", "message": "nothing"})


settings = config.load()
logs.configure(settings.log_level)
actor = f"worker {socket.gethostname()}:{os.getpid()}"
engine = connect(
    settings.require_database_url(),
    application_name="ifood-actors worker",
    pool_size=settings.worker_threads + 2,
)
limiter = fleet_limiter(engine, settings)
http = http_client(threads=settings.worker_threads, transport=httpx.MockTransport(_answer))
tokens = Tokens(
    engine,
    vault=Vault(settings.require_encryption_keys()),
    limiter=limiter,
    request=partial(request_token, http=http, base_url=settings.api_base_url),
)
access = fleet_access(tokens, limiter)
if UNPACED in os.environ:
    access = replace(access, pace=lambda _app_id, _group, _on_progress: None)
client = IfoodClient(base_url=settings.api_base_url, http=http, access=access)
broker = ladder_broker(
    settings.require_broker_url(),
    middleware=middleware(
        engine,
        limiter=limiter,
        backoff=Backoff(settings.backoff_base, settings.backoff_cap),
        max_attempts=settings.worker_max_attempts,
        actor=actor,
    ),
    connection_name="ifood-actors worker",
)
declare_actors(
    broker, engine=engine, client=client, leases=Leases(engine, length=settings.lease, actor=actor)
)
dramatiq.set_broker(broker)
