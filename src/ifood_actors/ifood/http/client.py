"""
The Merchant API as the rest of the project sees it: JSON or nothing, or one of our errors.

Every request spends one reservation, carries its application's token, and goes to the one
configured host.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Annotated
from urllib.parse import quote, urlencode
from uuid import UUID

import httpx
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ifood_actors.errors import Rejected, SchemaBroken, Unauthorized
from ifood_actors.ifood.http.answers import JsonValue, parse, raise_for_ifood
from ifood_actors.ifood.http.transport import Answer, counted_exchange
from ifood_actors.ifood.request_slots import EndpointGroup, Reservation

_MERCHANTS_PATH = "/merchant/v1.0/merchants"

PAGE_SIZE = 100  # of merchants, the most that is sure to be served
MAX_PAGES = 10_000  # no application has more; bounds a server that repeats itself


class MerchantSummary(BaseModel, frozen=True, hide_input_in_errors=True):
    """A store that an application may read."""

    id: str
    name: str
    corporate_name: Annotated[str | None, Field(alias="corporateName")] = None


_MERCHANTS = TypeAdapter(list[MerchantSummary])


@dataclass(frozen=True)
class ApiIdentity:
    """
    As whom a request is sent, which decides whose token it carries.

    A distributed application has one for each authorization, a centralised one for all stores.
    """

    app_id: UUID
    authorization_id: UUID | None = None


@dataclass(frozen=True)
class Access:
    """What a request needs before it is sent, and whom to tell when it is refused."""

    token: Callable[[ApiIdentity], str]
    invalidate: Callable[[ApiIdentity, str], None]  # this token was refused
    # Returns when it is time to ask this endpoint of the group, by the reserved slot if any.
    pace: Callable[
        [UUID, EndpointGroup, str, Reservation | None, Callable[[], None]], Reservation | None
    ]
    sent: Callable[[Reservation | None, httpx.Request], None]  # once it is over, how it may be
    heed: Callable[[UUID, EndpointGroup, str, Answer], None]  # what it says of the pace


class IfoodClient:
    """iFood's API for all applications and merchants; safe for threads."""

    def __init__(self, *, base_url: str, http: httpx.Client, access: Access) -> None:
        self._http = http
        self._calls = partial(_Calls, base_url.rstrip("/"), http, access)

    def close(self) -> None:
        """Close all connections; the client cannot be used any more."""
        self._http.close()

    def merchant(
        self,
        identity: ApiIdentity,
        merchant_id: str,
        *,
        reserved: Reservation | None = None,
        on_progress: Callable[[], None],
    ) -> "MerchantApi":
        """
        Return one merchant's financial data, read with one authorization.

        `on_progress` is called while waiting for a slot and after each answer; what it raises
        ends the call (a lease that was lost, for example). The first request takes the slot that
        is `reserved`.
        """
        calls = self._calls(identity, "financial", on_progress, reserved)
        return MerchantApi(calls, merchant_id)

    def merchants(self, identity: ApiIdentity) -> Iterator[MerchantSummary]:
        """
        Return all stores of a centralised application or of one authorization, each once.

        Pages count from 1; the last has fewer than 100 stores. A store may be missing for ten
        minutes after it was linked (docs/ifood-api.md, section 1).

        Raises what `MerchantApi.get` raises.
        """
        calls = self._calls(identity, "merchant", lambda: None)
        seen: set[str] = set()
        for page in range(1, MAX_PAGES + 1):
            params = {"page": str(page), "size": str(PAGE_SIZE)}
            stores = _merchants_of(calls.read("merchants", _MERCHANTS_PATH, params))
            new = [store for store in stores if store.id not in seen]
            yield from new
            seen.update(store.id for store in new)
            if len(stores) < PAGE_SIZE or not new:
                return


class MerchantApi:
    """One merchant's financial data."""

    def __init__(self, calls: "_Calls", merchant_id: str) -> None:
        self.merchant_id = merchant_id
        self._calls = calls
        self._path = f"/financial/v3.0/merchants/{quote(merchant_id, safe='')}"

    @property
    def requests(self) -> int:
        """How many requests were sent, repeated ones included."""
        return self._calls.requests

    @property
    def wasted(self) -> int:
        """How many of them iFood answered by 404, those before a new token included."""
        return self._calls.wasted

    def get(self, resource: str, params: Mapping[str, str]) -> JsonValue | None:
        """
        Read one answer; None when iFood has nothing.

        "Nothing" comes as 404, as 204, as 200 with an empty body and as null (docs/ifood-api.md,
        section 2); as 200 with an empty list, too, which is returned as it is. What each other
        answer means is in section 8 there.

        Raises Rejected with its status (other 4xx), Forbidden (403), Unauthorized (a second 401,
        with a new token), Throttled (429, or no slot within 60 s), ServerFault (5xx, 408, 425,
        redirects, network, time-out, size), GatewayFault (any word of a gateway), SchemaBroken,
        and what `Tokens.token` raises.
        """
        return self._calls.read(resource, f"{self._path}/{resource}", params)


@dataclass
class _Calls:
    """The requests of one caller under one identity to one endpoint group."""

    base_url: str
    http: httpx.Client
    access: Access
    identity: ApiIdentity
    group: EndpointGroup
    on_progress: Callable[[], None]
    reserved: Reservation | None = None
    requests: int = 0
    wasted: int = 0

    def read(self, endpoint: str, path: str, params: Mapping[str, str]) -> JsonValue | None:
        before = self.requests
        try:
            answer = self._get(endpoint, path, params)
        except Rejected as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            self.wasted += self.requests - before
            return None
        return parse(answer) if answer.body.strip() else None

    def _get(self, endpoint: str, path: str, params: Mapping[str, str]) -> Answer:
        token = self.access.token(self.identity)
        try:
            return self._send(endpoint, path, params, token=token)
        except Unauthorized:
            self.access.invalidate(self.identity, token)
        # Once only (iFood best practices): if a new token is refused, too, it is not the token.
        return self._send(endpoint, path, params, token=self.access.token(self.identity))

    def _send(self, endpoint: str, path: str, params: Mapping[str, str], *, token: str) -> Answer:
        app_id, headers = self.identity.app_id, {"Authorization": f"Bearer {token}"}
        # Written here, and not by httpx, which would read the URL once more for them.
        query = f"?{urlencode(params)}" if params else ""
        request = self.http.build_request("GET", f"{self.base_url}{path}{query}", headers=headers)

        # Nothing slow may stand between the slot and the request.
        reserved, self.reserved = self.reserved, None
        slot = self.access.pace(app_id, self.group, endpoint, reserved, self.on_progress)
        self.requests += 1
        try:
            answer = counted_exchange(self.http, request, endpoint=self.group, secrets=[token])
        finally:
            self.access.sent(slot, request)

        self.access.heed(app_id, self.group, endpoint, answer)
        raise_for_ifood(answer)
        self.on_progress()
        return answer


def _merchants_of(value: JsonValue | None) -> list[MerchantSummary]:
    try:
        return _MERCHANTS.validate_python([] if value is None else value)
    except ValidationError as error:
        fields = ", ".join(sorted({str(e["loc"][-1]) for e in error.errors() if e["loc"]}))
        raise SchemaBroken(f"the list of merchants cannot be read: {fields or 'no list'}") from None
