"""
Requests to iFood and what their answers mean; nothing of limiter or tokens, which are arguments.

client (the Merchant API) · token_requests (the oauth endpoints) · transport (one request within
limits) · decoding (gzip within limits) · answers (errors by status, JSON) · item_bounds (what of an
item can be stored)
"""

from ifood_actors.ifood.http.answers import (
    DEFAULT_PAUSE,
    LONGEST_PAUSE,
    JsonValue,
    asked_pause,
    error_text,
    is_served,
    rate_headers,
)
from ifood_actors.ifood.http.client import (
    Access,
    ApiIdentity,
    IfoodClient,
    MerchantApi,
    MerchantSummary,
)
from ifood_actors.ifood.http.item_bounds import MOST_ITEMS, is_too_deep, refuse_unreadable
from ifood_actors.ifood.http.token_requests import (
    AppCredentials,
    Grant,
    UserCode,
    redeem_code,
    request_token,
    request_user_code,
)
from ifood_actors.ifood.http.transport import Answer, exchange, http_client

__all__ = [
    "DEFAULT_PAUSE",
    "LONGEST_PAUSE",
    "MOST_ITEMS",
    "Access",
    "Answer",
    "ApiIdentity",
    "AppCredentials",
    "Grant",
    "IfoodClient",
    "JsonValue",
    "MerchantApi",
    "MerchantSummary",
    "UserCode",
    "asked_pause",
    "error_text",
    "exchange",
    "http_client",
    "is_served",
    "is_too_deep",
    "rate_headers",
    "redeem_code",
    "refuse_unreadable",
    "request_token",
    "request_user_code",
]
