"""Whether iFood has the merchant of an account, and lets the account's application read it."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, text

from ifood_actors.accounts.identifiers import canonical_id
from ifood_actors.accounts.sheet import Entry

# The stores that each authorization opens, by its id; None is a centralised application's own.
Opened = Mapping[UUID | None, Collection[str]]

_READ_WITH = text("SELECT ifood_merchant_id, authorization_id FROM accounts")


class Presence(StrEnum):
    """What iFood's lists of stores say about an account."""

    OURS = "ours"
    NO_MERCHANT_ID = "no_merchant_id"
    OTHER_SPELLING = "other_spelling"
    NO_APPLICATION = "no_application"
    NO_AUTHORIZATION = "no_authorization"
    OTHER_AUTHORIZATION = "other_authorization"
    NOT_ASKED = "not_asked"
    NOT_LISTED = "not_listed"


PRESENCE_MEANINGS = {
    Presence.NO_MERCHANT_ID: "its merchant id is no UUID: iFood can have no such store",
    Presence.OTHER_SPELLING: "its merchant id is spelled otherwise than iFood's: import it again",
    Presence.NO_APPLICATION: "it has no application: import it with the column app",
    Presence.NO_AUTHORIZATION: "no owner has authorized it: see `ifood-actors apps authorize`",
    Presence.OTHER_AUTHORIZATION: "another authorization opens it: `accounts discover` links it",
    Presence.NOT_ASKED: "its application or authorization could not be asked",
    Presence.NOT_LISTED: "iFood has no such store, or its owner has not linked the application",
}


def presence_of(account: Entry, authorization_id: UUID | None, opened: Opened | None) -> Presence:
    """
    Say how an account stands, by the stores that its application may read.

    `opened` lacks authorizations that could not be asked, and is None for such an application.
    """
    merchant_id = canonical_id(account.ifood_merchant_id)
    if merchant_id is None:
        return Presence.NO_MERCHANT_ID
    if account.app is None:
        return Presence.NO_APPLICATION
    if opened is None:
        return Presence.NOT_ASKED
    if merchant_id != account.ifood_merchant_id:
        return Presence.OTHER_SPELLING
    return _listed(merchant_id, authorization_id, opened)


def _listed(merchant_id: str, authorization_id: UUID | None, opened: Opened) -> Presence:
    opens = [by for by, stores in opened.items() if merchant_id in stores]
    if None in opens or authorization_id in opens:
        return Presence.OURS
    if opens:
        return Presence.OTHER_AUTHORIZATION
    if None in opened or authorization_id in opened:
        return Presence.NOT_LISTED
    return Presence.NO_AUTHORIZATION if authorization_id is None else Presence.NOT_ASKED


def authorizations_by_merchant(connection: Connection) -> dict[str, UUID | None]:
    """Return the authorization of each account, by its merchant id."""
    rows = connection.execute(_READ_WITH)
    return {row.ifood_merchant_id: row.authorization_id for row in rows}
