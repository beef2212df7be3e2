"""Limiter and tokens as the settings want them, for every process and command that asks iFood."""

from functools import partial
from threading import Event

import httpx
from sqlalchemy import Engine

from ifood_actors.config import Settings
from ifood_actors.ifood.http.token_requests import request_token
from ifood_actors.ifood.limiter.limiter import Limiter
from ifood_actors.ifood.slots import EndpointGroup
from ifood_actors.ifood.tokens.cipher import Cipher
from ifood_actors.ifood.tokens.refresh import Tokens


def rates(settings: Settings) -> dict[EndpointGroup, int]:
    """Give the configured requests a minute of each endpoint group."""
    return {
        "financial": settings.rate_limit_per_minute,
        "merchant": settings.rate_limit_per_minute,
        "oauth": settings.rate_limit_oauth_per_minute,
    }


def fleet_limiter(engine: Engine, settings: Settings, *, stopping: Event | None = None) -> Limiter:
    """Make the limiter; all processes that share a database must be given the same rates."""
    return Limiter(
        engine,
        rates=rates(settings),
        follow=settings.rate_limit_follow,
        stopping=stopping,
    )


def fleet_tokens(
    engine: Engine, settings: Settings, *, http: httpx.Client, limiter: Limiter
) -> Tokens:
    """Make the tokens; raises UsageError when there is no key to read the secrets with."""
    return Tokens(
        engine,
        cipher=Cipher(settings.require_encryption_keys()),
        limiter=limiter,
        request=partial(request_token, http=http, base_url=settings.api_base_url),
    )
