"""
iFood's API: requests, tokens, the limiter. It knows HTTP and money, nothing of jobs.

connect (wires it) · http/ · limiter/ · tokens/ · tables · and without I/O: slots (the arithmetic of
the pace), thresholds (when iFood counts as away, and an authorization as refused)
"""

from ifood_actors.ifood.http import (
    MOST_ITEMS,
    ApiIdentity,
    AppCredentials,
    IfoodClient,
    JsonValue,
    MerchantApi,
    MerchantSummary,
    UserCode,
    is_too_deep,
    refuse_unreadable,
)
from ifood_actors.ifood.limiter import (
    Limiter,
    LimitInUse,
    LimitUse,
    forget_named_limits,
    limit_uses,
    limits_by_app,
    limits_in_use,
    list_named_limits,
    read_limiters,
)
from ifood_actors.ifood.slots import EndpointGroup, Reservation
from ifood_actors.ifood.tables import App, AppKind, Authorization
from ifood_actors.ifood.tokens import (
    Authorizer,
    Cipher,
    SecretCount,
    Tokens,
    fresh_for,
    register_app,
    require_readable,
    rotate_secrets,
    survey_secrets,
)

__all__ = [
    "MOST_ITEMS",
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
    "LimitInUse",
    "LimitUse",
    "Limiter",
    "MerchantApi",
    "MerchantSummary",
    "Reservation",
    "SecretCount",
    "Tokens",
    "UserCode",
    "connect",  # reads the encryption keys: imported by the processes that are given them
    "forget_named_limits",
    "fresh_for",
    "is_too_deep",
    "limit_uses",
    "limits_by_app",
    "limits_in_use",
    "list_named_limits",
    "read_limiters",
    "refuse_unreadable",
    "register_app",
    "require_readable",
    "rotate_secrets",
    "slots",
    "survey_secrets",
    "tables",
    "thresholds",
]
