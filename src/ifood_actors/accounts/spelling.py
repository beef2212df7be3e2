"""
One merchant is one account, however its id was spelled when it was stored.

Imports store an id as iFood writes it. Another spelling can come from SQL only.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, text

from ifood_actors.accounts.identifiers import canonical_id
from ifood_actors.kinds import KINDS

_ODD = text("""
    SELECT id, ifood_merchant_id AS merchant_id FROM accounts
    WHERE ifood_merchant_id !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
    ORDER BY ifood_merchant_id FOR UPDATE
""")
# Records under the former spelling would be pulled a second time, and counted twice.
_HAS_NONE = " AND ".join(
    f"NOT EXISTS (SELECT FROM {kind.table} WHERE merchant_id = account.ifood_merchant_id)"
    for kind in KINDS.values()
)
_RESPELL = text(f"""
    UPDATE accounts AS account SET ifood_merchant_id = :merchant_id, updated_at = now()
    WHERE id = :id AND {_HAS_NONE}
""")
_IS_THERE = text("SELECT EXISTS (SELECT FROM accounts WHERE ifood_merchant_id = :merchant_id)")


def stored_ids(connection: Connection, merchant_ids: Iterable[str]) -> dict[str, str]:
    """
    Return each merchant id as its account has it, or is to have it, stored.

    An account whose id is spelled otherwise gets the right spelling, unless records are stored
    under the one that it has: that one stays, and is given.
    """
    wanted = {given: canonical_id(given) or given for given in merchant_ids}
    canonical = set(wanted.values())
    kept: dict[str, str] = {}
    for row in connection.execute(_ODD).all():
        found = canonical_id(row.merchant_id)
        if found is None or found not in canonical or found in kept:
            continue
        if connection.execute(_IS_THERE, {"merchant_id": found}).scalar_one():
            continue
        done = connection.execute(_RESPELL, {"id": row.id, "merchant_id": found})
        if not done.rowcount:
            kept[found] = row.merchant_id
    return {given: kept.get(found, found) for given, found in wanted.items()}
