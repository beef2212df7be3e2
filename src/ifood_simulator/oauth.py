"""
Tokens and authorisations, kept in memory.

Rules from iFood's guide (section Authentication) and from what clients met: form fields in
camelCase, rotating refresh tokens that work once, userCode valid for 10 min, code for 5 min.
"""

from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace
from json import dumps
from secrets import token_hex, token_urlsafe

from ifood_simulator.settings import App, Settings

USER_CODE_SECONDS, AUTHORIZATION_CODE_SECONDS = 600, 300


class OAuthError(Exception):
    """The token endpoint says no: `status` and iFood's code and text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Grant:
    """What an access token opens; `merchants` is None for every store of the application."""

    app: App
    merchants: frozenset[str] | None
    expires_at: float
    issued_at: float = 0.0

    def sees(self, merchant: str, app: App) -> bool:
        """Whether the store's data may be read with it."""
        return app == self.app and (self.merchants is None or merchant in self.merchants)


@dataclass(slots=True)
class _Flow:
    """One userCode flow, from the code to the authorisation."""

    app: App
    user_code: str
    verifier: str
    expires_at: float
    code: str | None = None
    code_expires_at: float = 0.0
    merchants: frozenset[str] = frozenset()


class Grants:
    """Not thread-safe; instants are seconds of one monotonic clock."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._apps = {app.client_id: app for app in settings.apps}
        self._access: dict[str, Grant] = {}
        self._refresh: dict[str, Grant] = {}
        self._flows: dict[str, _Flow] = {}
        self.issued: dict[str, int] = {}
        """Access tokens given out, for each client id."""

    def grant(self, token: str) -> Grant | None:
        """The grant of an access token, expired or not; None when it was never given out."""
        return self._access.get(token)

    def opened_by(self, refresh_token: str) -> frozenset[str]:
        """The stores of an authorisation, by its refresh token; none when it was used."""
        grant = self._refresh.get(refresh_token)
        return frozenset() if grant is None else grant.merchants or frozenset()

    def expire(self, token: str, *, at: float) -> None:
        """Make an access token void from now on."""
        grant = self._access.get(token)
        if grant is not None:
            self._access[token] = replace(grant, expires_at=at)

    def user_code(self, form: dict[str, str], *, at: float) -> dict[str, object]:
        """Start the authorisation of stores; raises OAuthError."""
        app = self._apps.get(_client_id(form))
        if app is None:
            raise OAuthError(401, "Bad credentials")
        if app.kind != "distributed":
            raise OAuthError(400, "Grant type not authorized for client")
        letters = token_hex(4).upper()
        flow = _Flow(app, f"{letters[:4]}-{letters[4:]}", token_hex(8), at + USER_CODE_SECONDS)
        self._flows[flow.user_code] = flow
        return {
            "userCode": flow.user_code,
            "authorizationCodeVerifier": flow.verifier,
            "expiresIn": USER_CODE_SECONDS,
        }

    def authorize(self, user_code: str, merchants: frozenset[str], *, at: float) -> str:
        """What the owner does in the portal: the authorisation code; raises OAuthError."""
        flow = self._flows.get(user_code)
        if flow is None or flow.expires_at <= at:
            raise OAuthError(400, "Invalid user code")
        flow.code = token_urlsafe(18)
        flow.code_expires_at = at + AUTHORIZATION_CODE_SECONDS
        flow.merchants = merchants
        return flow.code

    def app_of(self, user_code: str) -> App | None:
        """The application that a userCode was made for."""
        flow = self._flows.get(user_code)
        return None if flow is None else flow.app

    def token(self, form: dict[str, str], *, at: float) -> dict[str, object]:
        """An answer of the token endpoint; raises OAuthError."""
        if "grantType" not in form:
            raise OAuthError(400, "Invalid grant type null")
        app = self._apps.get(_client_id(form))
        if app is None or form.get("clientSecret") != app.client_secret:
            raise OAuthError(401, "Bad credentials")
        match form["grantType"], app.kind:
            case "client_credentials", "centralized":
                return self._issue(app, None, at=at)
            case "authorization_code", "distributed":
                return self._redeem(app, form, at=at)
            case "refresh_token", "distributed":
                return self._renew(app, form, at=at)
            case "client_credentials" | "authorization_code" | "refresh_token", _:
                raise OAuthError(400, "Grant type not authorized for client")
            case grant_type, _:
                raise OAuthError(400, f"Invalid grant type {grant_type}")

    def _redeem(self, app: App, form: dict[str, str], *, at: float) -> dict[str, object]:
        code, verifier = form.get("authorizationCode"), form.get("authorizationCodeVerifier")
        if not code or not verifier:
            raise OAuthError(400, "Missing required parameter authorizationCode")
        flow = next((flow for flow in self._flows.values() if flow.code == code), None)
        if flow is None or flow.app != app or flow.verifier != verifier:
            raise OAuthError(401, "Invalid authorization code")
        if flow.code_expires_at <= at:
            raise OAuthError(401, "Invalid authorization code")
        del self._flows[flow.user_code]
        return self._issue(app, flow.merchants, at=at)

    def _renew(self, app: App, form: dict[str, str], *, at: float) -> dict[str, object]:
        token = form.get("refreshToken")
        if not token:
            raise OAuthError(400, "Missing required parameter refreshToken")
        grant = self._refresh.get(token)
        if grant is None or grant.app != app or grant.expires_at <= at:
            raise OAuthError(401, "Invalid refresh token")
        del self._refresh[token]
        return self._issue(app, grant.merchants, at=at)

    def _issue(self, app: App, merchants: frozenset[str] | None, *, at: float) -> dict[str, object]:
        self.issued[app.client_id] = self.issued.get(app.client_id, 0) + 1
        access = self._text(app, merchants)
        self._access[access] = Grant(app, merchants, at + self._settings.token_seconds, at)
        answer: dict[str, object] = {
            "accessToken": access,
            "type": "bearer",
            "expiresIn": max(1, int(self._settings.token_seconds)),
        }
        if app.kind == "distributed":
            refresh = self._text(app, merchants)
            expires_at = at + self._settings.refresh_token_seconds
            self._refresh[refresh] = Grant(app, merchants, expires_at)
            answer["refreshToken"] = refresh
        return answer

    def _text(self, app: App, merchants: frozenset[str] | None) -> str:
        """A token that looks like iFood's: three parts, with a claim that must not be relied on."""
        claims = {
            "client_id": app.client_id,
            "merchant_scope": [f"{merchant}:financial" for merchant in sorted(merchants or ())[:3]],
        }
        head = f"{_base64({'alg': 'RS512'})}.{_base64(claims)}."
        missing = max(32, self._settings.token_size - len(head))
        return head + token_urlsafe(missing)[:missing]


def _base64(value: object) -> str:
    return urlsafe_b64encode(dumps(value).encode()).decode().rstrip("=")


def _client_id(form: dict[str, str]) -> str:
    client_id = form.get("clientId")
    if not client_id:
        raise OAuthError(400, "Missing required parameter clientId")
    if len(client_id) != 36:  # noqa: PLR2004 (a UUID's length)
        raise OAuthError(400, "Invalid parameter clientId")
    return client_id
