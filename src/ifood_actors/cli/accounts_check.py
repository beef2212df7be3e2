"""`ifood-actors accounts check`: whether iFood knows the restaurants that we ask it for."""

from typing import TYPE_CHECKING

import typer

from ifood_actors.cli.options import Active, AppName, Cnpj, Group, Json
from ifood_actors.cli.output import count, document, note, say, table
from ifood_actors.errors import IfoodActorsError, ServiceUnavailable, UsageError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ifood_actors.accounts import Opened
    from ifood_actors.config import Settings


def check(
    *,
    active: Active = None,
    app_name: AppName = None,
    cnpj: Cnpj = None,
    group: Group = None,
    json: Json = False,
) -> None:
    """
    Ask iFood whether each account's merchant exists and is ours; exit code 1 if one is not.

    It reads the list of stores of each application, a hundred in a request, and changes no
    account. A store may be missing in it for ten minutes after it was linked.
    """
    from ifood_actors.accounts import (
        PRESENCE_MEANINGS,
        Presence,
        authorizations_by_merchant,
        list_accounts,
        presence_of,
    )
    from ifood_actors.cli.database import open_database
    from ifood_actors.cli.lookup import require_application
    from ifood_actors.config import loading
    from ifood_actors.db import transaction

    settings = loading.load()
    with open_database(settings) as engine:
        with transaction(engine) as tx:
            if app_name is not None:
                require_application(tx, app_name)
            rows = list_accounts(tx, active=active, app=app_name, cnpj=cnpj, group=group)
            linked = authorizations_by_merchant(tx)
        apps = sorted({row.app for row in rows if row.app})
        opened = {app: _opened(engine, settings, app) for app in apps}

    judged = [
        (
            row,
            presence_of(row, linked.get(row.ifood_merchant_id), opened.get(row.app or "")),
        )
        for row in rows
    ]
    others = [(row, found) for row, found in judged if found is not Presence.OURS]
    if json:
        ours = len(judged) - len(others)
        told = [
            {
                "name": row.name,
                "ifood_merchant_id": row.ifood_merchant_id,
                "app": row.app,
                "presence": found,
                "meaning": PRESENCE_MEANINGS[found],
            }
            for row, found in others
        ]
        document({"checked": len(judged), "ours": ours, "others": told})
    else:
        if others:
            columns = ("name", "ifood_merchant_id", "app", "presence", "meaning")
            shown = [
                (row.name, row.ifood_merchant_id, row.app, str(found), PRESENCE_MEANINGS[found])
                for row, found in others
            ]
            table(columns, shown, zone=settings.timezone)
        say(f"{count(len(judged), 'account')}: {len(others):,} that iFood does not list as ours")
    if others:
        raise typer.Exit(1)


def _opened(engine: "Engine", settings: "Settings", app: str) -> "Opened | None":
    """Give the stores of an application; None, and a message, if it cannot be asked."""
    from ifood_actors.accounts import canonical_id
    from ifood_actors.cli.stores import stores_of

    try:
        found = stores_of(engine, settings, app)
    except (ServiceUnavailable, UsageError):
        raise
    except IfoodActorsError as error:
        note(f"{app}: {error}")
        return None
    return {
        identity.authorization_id: {canonical_id(store.id) or store.id for store in stores}
        for identity, stores in found
    }
