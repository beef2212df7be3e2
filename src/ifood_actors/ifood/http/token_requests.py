"""The two oauth endpoints of iFood (iFood authentication guide; docs/ifood-api.md, section 1)."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, TypeVar

import httpx
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, ValidationInfo, field_validator

from ifood_actors.errors import (
    CredentialsRefused,
    GatewayFault,
    JobError,
    NeedsAuthorization,
    Rejected,
    SchemaBroken,
    ServerFault,
    Unauthorized,
)
from ifood_actors.ifood.http.answers import author_of, parse, raise_for_ifood
from ifood_actors.ifood.http.transport import Answer, counted_exchange

PATH = "/authentication/v1.0/oauth/token"
USER_CODE_PATH = "/authentication/v1.0/oauth/userCode"

_LONGEST_LIFETIME = 24 * 3600  # seconds; 3 h and 6 h have been seen
# Of an access token whose answer does not tell. Only where refusing the answer would lose more.
_UNTOLD_LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True)
class AppCredentials:
    """What identifies an application at iFood."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class Grant:
    """
    An access token as iFood gave it, and how long it lives from now.

    A distributed application gets a refresh token with it, which gives the next grant, once.
    """

    access_token: str = field(repr=False)
    lifetime: timedelta
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class UserCode:
    """The start of an authorization: what the owner types or opens, and for how long that works."""

    code: str
    url: str
    verifier: str = field(repr=False)
    lifetime: timedelta


# Printable ASCII, since it goes into a header or onto a terminal. iFood's tokens have up to 8,000
# characters.
_Plain = Annotated[str, Field(pattern=r"^[\x21-\x7e]+$", max_length=16_000)]
_SECONDS = TypeAdapter(Annotated[int, Field(gt=0)])


class _TokenAnswer(BaseModel, hide_input_in_errors=True):
    access_token: Annotated[_Plain, Field(alias="accessToken")]
    refresh_token: Annotated[_Plain | None, Field(alias="refreshToken")] = None
    lifetime: Annotated[timedelta, Field(alias="expiresIn", default=None, validate_default=True)]

    @field_validator("lifetime", mode="plain")
    @classmethod
    def _lifetime(cls, expires_in: object, info: ValidationInfo) -> timedelta:
        """Take `expiresIn`; an answer without it is still used if it spent a refresh token."""
        try:
            seconds = _SECONDS.validate_python(expires_in)
        except ValidationError:
            if info.data.get("refresh_token") is None:
                raise ValueError("no lifetime") from None
            return _UNTOLD_LIFETIME
        return timedelta(seconds=min(seconds, _LONGEST_LIFETIME))


class _UserCodeAnswer(BaseModel, hide_input_in_errors=True):
    user_code: Annotated[_Plain, Field(alias="userCode")]
    verifier: Annotated[_Plain, Field(alias="authorizationCodeVerifier")]
    url: Annotated[_Plain | None, Field(alias="verificationUrl")] = None
    complete_url: Annotated[_Plain | None, Field(alias="verificationUrlComplete")] = None
    expires_in: Annotated[int, Field(alias="expiresIn", gt=0)] = 600


_Shape = TypeVar("_Shape", _TokenAnswer, _UserCodeAnswer)


def request_token(
    credentials: AppCredentials,
    refresh_token: str | None = None,
    *,
    http: httpx.Client,
    base_url: str,
) -> Grant:
    """
    Ask for an access token: by `refresh_token` if there is one, else by `client_credentials`.

    Field names are camelCase; snake_case is refused with 400 (measured by third parties).

    Raises NeedsAuthorization when iFood refuses the refresh token (400, 401, 403),
    CredentialsRefused for every other such refusal, Throttled (429), Rejected (other 4xx),
    ServerFault (also for any answer of a gateway), SchemaBroken.
    """
    fields = {"grantType": "client_credentials"}
    if refresh_token is not None:
        fields = {"grantType": "refresh_token", "refreshToken": refresh_token}
    return _token(credentials, fields, http=http, base_url=base_url)


def redeem_code(
    credentials: AppCredentials, code: str, *, verifier: str, http: httpx.Client, base_url: str
) -> Grant:
    """
    Turn the code that the owner was shown into the first tokens of an authorization.

    Raises CredentialsRefused also for a code that is wrong, used, or older than five minutes, and
    otherwise what `request_token` raises.
    """
    fields = {
        "grantType": "authorization_code",
        "authorizationCode": code,
        "authorizationCodeVerifier": verifier,
    }
    grant = _token(credentials, fields, http=http, base_url=base_url)
    if grant.refresh_token is None:
        raise SchemaBroken("the token answer cannot be used: refreshToken")
    return grant


def request_user_code(client_id: str, *, http: httpx.Client, base_url: str) -> UserCode:
    """
    Start an authorization; the owner has ten minutes to confirm it (iFood authentication guide).

    Raises CredentialsRefused (400, 401, 403; a centralised application may not), and otherwise
    what `request_token` raises.
    """
    answer = _post(USER_CODE_PATH, {"clientId": client_id}, http=http, base_url=base_url)
    found = _given(answer, _UserCodeAnswer, what="userCode")
    url = found.complete_url or found.url or "iFood's portal"
    lifetime = timedelta(seconds=min(found.expires_in, _LONGEST_LIFETIME))
    return UserCode(found.user_code, url, found.verifier, lifetime)


def _token(
    credentials: AppCredentials, fields: dict[str, str], *, http: httpx.Client, base_url: str
) -> Grant:
    form = {"clientId": credentials.client_id, "clientSecret": credentials.client_secret}
    answer = _post(PATH, form | fields, http=http, base_url=base_url)
    token = _given(answer, _TokenAnswer, what="token")
    return Grant(token.access_token, token.lifetime, token.refresh_token)


def _post(path: str, form: dict[str, str], *, http: httpx.Client, base_url: str) -> Answer:
    request = http.build_request("POST", f"{base_url.rstrip('/')}{path}", data=form)
    public = {"grantType", "clientId"}
    secrets = [form[name] for name in form.keys() - public]
    return counted_exchange(http, request, endpoint="oauth", secrets=secrets)


def _given(answer: Answer, shape: type[_Shape], *, what: str) -> _Shape:
    """Read what was asked for: any 2xx that holds it, as it may be the only refresh token."""
    if answer.status >= HTTPStatus.BAD_REQUEST:
        _raise_for_oauth(answer)
    faulty = "no object"
    if httpx.codes.is_success(answer.status):
        try:
            return shape.model_validate(parse(answer))
        except ValidationError as error:
            named = {str(part) for each in error.errors() for part in each["loc"]}
            faulty = ", ".join(sorted(named)) or faulty
        except (ServerFault, SchemaBroken):
            faulty = "it cannot be read"
    raise _unusable(answer, f"the {what} answer cannot be used: {faulty}")


def _unusable(answer: Answer, text: str) -> JobError:
    """Name the fault by status and author; below 400 a body may hold tokens, so none is shown."""
    status = answer.status
    match author_of(answer):
        case "gateway":
            return GatewayFault(f"{status} not from iFood: {text}", status=status)
        case "ifood" if status == HTTPStatus.OK:
            return SchemaBroken(text)
        case _:
            return ServerFault(f"{status} {text}", status=status)


def _raise_for_oauth(answer: Answer) -> None:
    try:
        raise_for_ifood(answer)
    except (Rejected, Unauthorized) as error:
        if answer.status not in {400, 401, 403}:
            raise
        # The statuses are the same; only the text tells (measured by third parties).
        if re.search(r"refresh.?token", str(error), re.IGNORECASE):
            raise NeedsAuthorization(str(error)) from None
        of_application = re.search("credential|client", str(error), re.IGNORECASE) is not None
        raise CredentialsRefused(str(error), of_application=of_application) from None
    except ServerFault as fault:
        if fault.status is None or fault.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        # Without its status: a shorter span of days is no help against a token that is not given.
        raise type(fault)(str(fault)) from None
