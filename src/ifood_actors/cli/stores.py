"""The stores that an application may read, and which authorization reads each of them."""

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, text

from ifood_actors import accounts
from ifood_actors.cli.calls import ifood
from ifood_actors.cli.lookup import require_application
from ifood_actors.cli.output import note
from ifood_actors.config import Settings
from ifood_actors.errors import Forbidden, NeedsAuthorization
from ifood_actors.ifood import ApiIdentity, AppKind, IfoodClient, MerchantSummary

Found = tuple[ApiIdentity, Sequence[MerchantSummary]]

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
            identity = ApiIdentity(found.id)
            asked.tokens.refresh(identity)
            return [(identity, list(asked.client.merchants(identity)))]
        if not held:
            note(f"no authorization yet: see `ifood-actors apps authorize {app}`")
        stores = [(row.name, ApiIdentity(found.id, row.id)) for row in held]
        return [answer for each in stores if (answer := _readable(asked.client, *each))]


def link_accounts(
    connection: Connection, merchant_ids: Sequence[str], identity: ApiIdentity
) -> accounts.Linked | None:
    """Let accounts be read with an authorization; a centralised application needs no link."""
    if identity.authorization_id is None:
        return None
    return accounts.link_accounts(
        connection,
        merchant_ids,
        app_id=identity.app_id,
        authorization_id=identity.authorization_id,
    )


def _readable(client: IfoodClient, name: str, identity: ApiIdentity) -> Found | None:
    try:
        return identity, list(client.merchants(identity))
    except (NeedsAuthorization, Forbidden) as error:
        note(f"{name}: {error}")
        return None
