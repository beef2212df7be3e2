"""
Requests to iFood and what their answers mean; nothing of limiter or tokens, which are arguments.

client (the Merchant API) · token_requests (the oauth endpoints) · transport (one request within
limits) · decoding (gzip within limits) · answers (errors by status, JSON) · item_bounds (what of an
item can be stored)
"""

from ifood_actors.ifood.http.client import (
    Access,
    ApiIdentity,
    IfoodClient,
    MerchantApi,
    MerchantSummary,
)
from ifood_actors.ifood.http.token_requests import AppCredentials, Grant, UserCode

__all__ = [
    "Access",
    "ApiIdentity",
    "AppCredentials",
    "Grant",
    "IfoodClient",
    "MerchantApi",
    "MerchantSummary",
    "UserCode",
    "answers",
    "item_bounds",
    "token_requests",
    "transport",
]
