"""Registering iFood applications."""

from uuid import UUID

from sqlalchemy import Connection, delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from ifood_actors.ifood.http import AppCredentials
from ifood_actors.ifood.tables import App, AppKind, Authorization
from ifood_actors.ifood.tokens.cipher import Cipher


def register_app(
    connection: Connection, cipher: Cipher, *, name: str, kind: AppKind, credentials: AppCredentials
) -> UUID:
    """
    Store an application, or new credentials for the one of that name; give its id.

    Tokens and refusals that belonged to the old credentials are forgotten, those of refresh tokens
    as well: each is tried once more. Refresh tokens stay: a new secret does not end them, and only
    the owners of the stores could replace them.

    Raises UsageError when there is no key to encrypt the secret with.
    """
    values = {
        "client_id": credentials.client_id,
        "kind": kind.value,
        "client_secret_encrypted": cipher.encrypt(credentials.client_secret),
    }
    app_id: UUID = connection.execute(
        insert(App)
        .values(name=name, **values)
        .on_conflict_do_update(index_elements=["name"], set_={**values, "updated_at": func.now()})
        .returning(col(App.id))
    ).scalar_one()
    mine = col(Authorization.app_id) == app_id
    connection.execute(
        delete(Authorization).where(mine, col(Authorization.refresh_token_encrypted).is_(None))
    )
    connection.execute(
        update(Authorization)
        .where(mine)
        .values(
            access_token_encrypted=None,
            renew_at=None,
            locked_until=None,
            refused_at=None,
            refused_since=None,
            refused_reason=None,
            needs_authorization_since=None,
        )
    )
    return app_id
