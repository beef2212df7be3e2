"""iFood as the settings want it, composed once for every process and command that asks it."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from ssl import SSLCertVerificationError
from threading import Event

import httpx
from sqlalchemy import Engine

from ifood_actors.config import Settings
from ifood_actors.errors import ServerFault, ServiceUnavailable, causes
from ifood_actors.ifood.http import Access, IfoodClient
from ifood_actors.ifood.http.token_requests import request_token
from ifood_actors.ifood.http.transport import exchange, http_client
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.limiter.usage import configured_rates
from ifood_actors.ifood.tokens import Authorizer, Cipher, Tokens


@dataclass(frozen=True)
class Ifood:
    """What asks iFood, with one limiter and the tokens that all processes share."""

    client: IfoodClient
    limiter: Limiter
    tokens: Tokens
    authorizer: Authorizer

    def close(self) -> None:
        """Close all connections to iFood; nothing can be asked any more."""
        self.client.close()


def connect_ifood(
    engine: Engine,
    settings: Settings,
    *,
    threads: int,
    stopping: Event | None = None,
    transport: httpx.BaseTransport | None = None,
) -> Ifood:
    """
    Compose client, limiter and tokens; nothing is asked yet.

    `threads` is how many may ask at the same time. When `stopping` is set, threads that wait for a
    slot get Throttled. `transport` answers in iFood's place. All processes that share a database
    must have the same rates in their settings.

    Raises UsageError when there is no key to read the secrets with.
    """
    base_url = settings.api_base_url
    cipher = Cipher(settings.require_encryption_keys())
    http = http_client(threads=threads, ca_file=settings.api_ca_file, transport=transport)
    limiter = Limiter(
        engine,
        rates=configured_rates(settings),
        follow=settings.rate_limit_follow,
        stopping=stopping,
    )
    request = partial(request_token, http=http, base_url=base_url)
    tokens = Tokens(engine, cipher=cipher, limiter=limiter, request=request)
    return Ifood(
        client=IfoodClient(base_url=base_url, http=http, access=shared_access(tokens, limiter)),
        limiter=limiter,
        tokens=tokens,
        authorizer=Authorizer(engine, cipher=cipher, limiter=limiter, http=http, base_url=base_url),
    )


def shared_access(tokens: Tokens, limiter: Limiter) -> Access:
    """Return the access to the API that all processes of one database share."""
    return Access(
        token=tokens.token,
        invalidate=tokens.invalidate,
        pace=lambda app_id, group, endpoint, reserved, on_progress: limiter.acquire(
            app_id, group, endpoint=endpoint, reserved=reserved, on_progress=on_progress
        ),
        sent=limiter.sent,
        heed=lambda app_id, group, endpoint, answer: limiter.heed(
            app_id, group, answer, endpoint=endpoint
        ),
    )


def probe_api(settings: Settings, *, within: timedelta) -> int:
    """
    Ask the API's address without credentials, and return the status of its answer.

    Any answer shows that name, route and certificate are right. Raises ServiceUnavailable when
    there is none.
    """
    url = settings.api_base_url
    with http_client(threads=1, ca_file=settings.api_ca_file) as http:
        try:
            return exchange(http, http.build_request("GET", url), total=within).status
        except ServerFault as error:
            refused = any(isinstance(each, SSLCertVerificationError) for each in causes(error))
            raise ServiceUnavailable(
                f"{url}: {error}", cause="certificate" if refused else None
            ) from None
