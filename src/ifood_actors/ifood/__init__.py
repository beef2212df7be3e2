"""iFood's API: requests, tokens, the fleet's pace. It knows HTTP and money, nothing of jobs."""

from ifood_actors.ifood.answers import JsonValue
from ifood_actors.ifood.apps import register_app
from ifood_actors.ifood.auth import Credentials, request_token
from ifood_actors.ifood.authorizations import Credential
from ifood_actors.ifood.authorizing import Authorizer
from ifood_actors.ifood.client import (
    Access,
    IfoodClient,
    MerchantApi,
    MerchantSummary,
    Resource,
    fleet_access,
)
from ifood_actors.ifood.closures import EndpointGroup, read_closures
from ifood_actors.ifood.crypto import Vault
from ifood_actors.ifood.fleet import fleet_limiter, fleet_tokens
from ifood_actors.ifood.limiter import Limiter
from ifood_actors.ifood.models import App, AppKind, Authorization, Limit
from ifood_actors.ifood.named_limits import (
    NamedLimit,
    forget_named_limits,
    limits_by_app,
    named_limits,
)
from ifood_actors.ifood.slots import Reservation
from ifood_actors.ifood.tokens import Tokens
from ifood_actors.ifood.transport import http_client
from ifood_actors.ifood.usage import limits_in_use

__all__ = [
    "Access",
    "App",
    "AppKind",
    "Authorization",
    "Authorizer",
    "Credential",
    "Credentials",
    "EndpointGroup",
    "IfoodClient",
    "JsonValue",
    "Limit",
    "Limiter",
    "MerchantApi",
    "MerchantSummary",
    "NamedLimit",
    "Reservation",
    "Resource",
    "Tokens",
    "Vault",
    "fleet_access",
    "fleet_limiter",
    "fleet_tokens",
    "forget_named_limits",
    "http_client",
    "limits_by_app",
    "limits_in_use",
    "named_limits",
    "read_closures",
    "register_app",
    "request_token",
]
