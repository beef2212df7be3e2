"""iFood's API: requests, tokens, the limiter. It knows HTTP and money, nothing of jobs."""

from ifood_actors.ifood.connect import fleet_limiter, fleet_tokens
from ifood_actors.ifood.http.answers import JsonValue
from ifood_actors.ifood.http.client import (
    Access,
    IfoodClient,
    MerchantApi,
    MerchantSummary,
    fleet_access,
)
from ifood_actors.ifood.http.token_requests import AppCredentials, request_token
from ifood_actors.ifood.http.transport import http_client
from ifood_actors.ifood.limiter.limiter import Limiter
from ifood_actors.ifood.limiter.named_limits import (
    NamedLimit,
    forget_named_limits,
    limits_by_app,
    named_limits,
)
from ifood_actors.ifood.limiter.snapshots import read_limiters
from ifood_actors.ifood.limiter.usage import limits_in_use
from ifood_actors.ifood.slots import EndpointGroup, Reservation
from ifood_actors.ifood.tables import App, AppKind, Authorization, Limit
from ifood_actors.ifood.tokens.authorize import Authorizer
from ifood_actors.ifood.tokens.cipher import Cipher
from ifood_actors.ifood.tokens.refresh import Tokens
from ifood_actors.ifood.tokens.registration import register_app
from ifood_actors.ifood.tokens.store import ApiIdentity

__all__ = [
    "Access",
    "ApiIdentity",
    "App",
    "AppCredentials",
    "AppKind",
    "Authorization",
    "Authorizer",
    "Cipher",
    "EndpointGroup",
    "IfoodClient",
    "JsonValue",
    "Limit",
    "Limiter",
    "MerchantApi",
    "MerchantSummary",
    "NamedLimit",
    "Reservation",
    "Tokens",
    "fleet_access",
    "fleet_limiter",
    "fleet_tokens",
    "forget_named_limits",
    "http_client",
    "limits_by_app",
    "limits_in_use",
    "named_limits",
    "read_limiters",
    "register_app",
    "request_token",
]
