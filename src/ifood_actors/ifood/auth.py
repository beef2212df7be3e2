"""The token endpoint of iFood (iFood authentication guide)."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

import httpx
from pydantic import BaseModel, Field, ValidationError

from ifood_actors.errors import CredentialsRefused, SchemaBroken
from ifood_actors.ifood.answers import error_text, parse, raise_for_ifood
from ifood_actors.ifood.transport import exchange

PATH = "/authentication/v1.0/oauth/token"

_LONGEST_LIFETIME = 24 * 3600  # seconds; 3 h and 6 h have been seen


@dataclass(frozen=True)
class Credentials:
    """What identifies an application at iFood."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class Grant:
    """An access token as iFood gave it, and how long it lives from now."""

    access_token: str = field(repr=False)
    lifetime: timedelta


class _TokenAnswer(BaseModel, hide_input_in_errors=True):
    # Printable ASCII, since it goes into a header.
    access_token: Annotated[str, Field(alias="accessToken", pattern=r"^[\x21-\x7e]+$")]
    expires_in: Annotated[int, Field(alias="expiresIn", gt=0)]


def request_token(credentials: Credentials, *, http: httpx.Client, base_url: str) -> Grant:
    """
    Ask for an access token by `client_credentials` (a centralised application).

    Field names are camelCase; snake_case is refused with 400 (measured by third parties).

    Raises CredentialsRefused (400, 401, 403), Throttled (429), Rejected (other 4xx), ServerFault,
    SchemaBroken.
    """
    form = {
        "grantType": "client_credentials",
        "clientId": credentials.client_id,
        "clientSecret": credentials.client_secret,
    }
    request = http.build_request("POST", f"{base_url.rstrip('/')}{PATH}", data=form)
    answer = exchange(http, request, secrets=[credentials.client_secret])
    if answer.status in {400, 401, 403}:
        raise CredentialsRefused(f"{answer.status} {error_text(answer)}".strip())
    raise_for_ifood(answer)

    try:
        token = _TokenAnswer.model_validate(parse(answer))
    except ValidationError as error:
        fields = ", ".join(sorted({str(part) for e in error.errors() for part in e["loc"]}))
        raise SchemaBroken(f"the token answer cannot be used: {fields or 'no object'}") from None
    lifetime = timedelta(seconds=min(token.expires_in, _LONGEST_LIFETIME))
    return Grant(token.access_token, lifetime)
