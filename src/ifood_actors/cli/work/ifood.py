"""
iFood as a command asks it: as all processes do, with named faults if it is away.

And the stores that an application may read, with the authorization that reads each of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from sqlalchemy import Connection, text

from ifood_actors.accounts import linking
from ifood_actors.cli.output import duration, note
from ifood_actors.cli.work.database import CommandContext, require_application
from ifood_actors.errors import (
    CredentialsRefused,
    Forbidden,
    IfoodActorsError,
    NeedsAuthorization,
    ServerFault,
    ServiceUnavailable,
    Throttled,
)
from ifood_actors.ifood.connect import Ifood, connect_ifood
from ifood_actors.ifood.http import ApiIdentity, IfoodClient, MerchantSummary
from ifood_actors.ifood.tables import AppKind

FoundStores = tuple[ApiIdentity, Sequence[MerchantSummary]]

_APP = text("SELECT id, kind FROM ifood_apps WHERE name = :name")
_AUTHORIZATIONS = text("""
    SELECT id, name FROM ifood_authorizations WHERE app_id = :app_id ORDER BY name
""")


@contextmanager
def ifood(command: CommandContext) -> Iterator[Ifood]:
    """
    Give iFood for the length of one command.

    Raises UsageError without a key to read the secrets with, ServiceUnavailable when iFood fails
    or cannot be reached, and IfoodActorsError when it refuses the credentials or an
    authorization.
    """
    url = command.settings.api_base_url
    with closing(connect_ifood(command.engine, command.settings, threads=1)) as asked:
        try:
            yield asked
        except ServerFault as error:
            raise ServiceUnavailable(f"iFood at {url}: {error}") from None
        except Throttled as error:  # also for some seconds after iFood has failed
            raise IfoodActorsError(
                f"iFood at {url} is not asked now: {error}; try again in {duration(error.after)}"
            ) from None
        except (CredentialsRefused, NeedsAuthorization) as error:
            raise IfoodActorsError(f"iFood at {url} refused: {error}") from None


def stores_of(command: CommandContext, app: str) -> list[FoundStores]:
    """
    Ask iFood for all stores of an application, by authorization.

    A token does not see stores that were linked after it was given, so a centralised application
    gets a new one (iFood authentication guide). An authorization that does not work is named on
    stderr and left out. Raises UsageError without such an application.
    """
    with command.engine.connect() as connection:
        require_application(connection, app)
        found = connection.execute(_APP, {"name": app}).one()
        held = connection.execute(_AUTHORIZATIONS, {"app_id": found.id}).all()

    with ifood(command) as asked:
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
) -> linking.Linked | None:
    """Let accounts be read with an authorization; a centralised application needs no link."""
    if identity.authorization_id is None:
        return None
    return linking.link_accounts(
        connection,
        merchant_ids,
        app_id=identity.app_id,
        authorization_id=identity.authorization_id,
    )


def _readable(client: IfoodClient, name: str, identity: ApiIdentity) -> FoundStores | None:
    try:
        return identity, list(client.merchants(identity))
    except (NeedsAuthorization, Forbidden) as error:
        note(f"{name}: {error}")
        return None
