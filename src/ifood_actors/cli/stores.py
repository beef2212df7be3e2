"""The stores that an application may read, and which authorization reads each of them."""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, text

from ifood_actors import accounts
from ifood_actors.cli.calls import ifood
from ifood_actors.cli.lookup import require_application
from ifood_actors.cli.output import note
from ifood_actors.config import Settings
from ifood_actors.errors import Forbidden, NeedsAuthorization
from ifood_actors.ifood import AppKind, Credential, IfoodClient, MerchantSummary

Found = tuple[Credential, Sequence[MerchantSummary]]

_APP = text("SELECT id, kind FROM ifood_apps WHERE name = :name")
_AUTHORIZATIONS = text("""
    SELECT id, name FROM ifood_authorizations WHERE app_id = :app_id ORDER BY name
""")


def stores_of(engine: Engine, settings: Settings, app: str) -> list[Found]:
    """
    Ask iFood for all stores of an application, by authorization.

    A token does not see stores that were linked after it was given, so a centralised application
    gets a new one (iFood authentication guide). An authorization that does not work is named on
    stderr and left out. Raises UsageError without such an application.
    """
    with engine.connect() as connection:
        require_application(connection, app)
        found = connection.execute(_APP, {"name": app}).one()
        held = connection.execute(_AUTHORIZATIONS, {"app_id": found.id}).all()

    with ifood(engine, settings) as asked:
        if found.kind == AppKind.CENTRALIZED:
            credential = Credential(found.id)
            asked.tokens.refresh(credential)
            return [(credential, list(asked.client.merchants(credential)))]
        if not held:
            note(f"no authorization yet: see `ifood-actors apps authorize {app}`")
        stores = [(row.name, Credential(found.id, row.id)) for row in held]
        return [answer for each in stores if (answer := _readable(asked.client, *each))]


def link_accounts(
    connection: Connection, merchant_ids: Sequence[str], credential: Credential
) -> accounts.Linked | None:
    """Let accounts be read with an authorization; a centralised application needs no link."""
    if credential.authorization_id is None:
        return None
    return accounts.link_accounts(
        connection,
        merchant_ids,
        app_id=credential.app_id,
        authorization_id=credential.authorization_id,
    )


def _readable(client: IfoodClient, name: str, credential: Credential) -> Found | None:
    try:
        return credential, list(client.merchants(credential))
    except (NeedsAuthorization, Forbidden) as error:
        note(f"{name}: {error}")
        return None
