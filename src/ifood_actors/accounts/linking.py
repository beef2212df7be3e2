"""Which authorization reads which account: linked by merchant, when an owner has confirmed it."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, text

from ifood_actors.accounts.spelling import stored_ids

_LINK = text("""
    WITH was AS (
      SELECT id, app_id, authorization_id FROM accounts
      WHERE ifood_merchant_id = ANY(:merchant_ids) ORDER BY ifood_merchant_id FOR UPDATE)
    UPDATE accounts AS account
    SET app_id = :app_id, authorization_id = :authorization_id, updated_at = now()
    FROM was WHERE account.id = was.id
    RETURNING account.name, account.ifood_merchant_id AS merchant_id,
      was.authorization_id AS former_id,
      (was.app_id, was.authorization_id) IS DISTINCT FROM
        (account.app_id, account.authorization_id) AS changed
""")
# No account is read with them any more, and refreshing them would go on spending token calls.
_DROP_SUPERSEDED = text("""
    DELETE FROM ifood_authorizations AS former
    WHERE id = ANY(:former_ids) AND id <> :authorization_id
      AND NOT EXISTS (SELECT FROM accounts WHERE authorization_id = former.id)
""")
# What another owner confirmed under that name must not be asked with this one's token.
_UNLINK = text("""
    UPDATE accounts SET authorization_id = NULL, updated_at = now()
    WHERE authorization_id = :authorization_id AND ifood_merchant_id <> ALL(:merchant_ids)
    RETURNING name
""")


@dataclass(frozen=True, slots=True)
class Linked:
    """
    What became of an authorization's stores: accounts by name, and ids that no account has.

    `changed` accounts were not linked with it before.
    """

    accounts: list[str]
    unknown: list[str]
    changed: int = 0


def link_accounts(
    connection: Connection, merchant_ids: Iterable[str], *, app_id: UUID, authorization_id: UUID
) -> Linked:
    """
    Let the accounts of these merchants be read with an authorization.

    An authorization that loses its last account by that has been replaced, and is removed.
    """
    stored = stored_ids(connection, merchant_ids)
    values = {
        "merchant_ids": list(stored.values()),
        "app_id": app_id,
        "authorization_id": authorization_id,
    }
    found = connection.execute(_LINK, values).all()

    formers = [row.former_id for row in found if row.former_id is not None]
    connection.execute(
        _DROP_SUPERSEDED, {"former_ids": formers, "authorization_id": authorization_id}
    )
    known = {row.merchant_id for row in found}
    unknown = [given for given, merchant_id in stored.items() if merchant_id not in known]
    names = sorted(row.name for row in found)
    return Linked(names, unknown, changed=sum(row.changed for row in found))


def unlink_others(
    connection: Connection, merchant_ids: Iterable[str], *, authorization_id: UUID
) -> list[str]:
    """Take an authorization from the accounts of all other merchants; give their names."""
    covered = list(stored_ids(connection, merchant_ids).values())
    values = {"merchant_ids": covered, "authorization_id": authorization_id}
    return sorted(connection.execute(_UNLINK, values).scalars())
