"""Key rotation: which keys the stored secrets need, and encrypting them all with the newest."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from ifood_actors import operator_acts
from ifood_actors.db import transaction
from ifood_actors.errors import UsageError
from ifood_actors.ifood.tokens.cipher import Cipher

_AT_A_TIME = 500
_NEWEST = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where secrets of one sort are stored."""

    what: str
    table: str
    column: str


_CLIENT_SECRETS: Final = Place("client secrets", "ifood_apps", "client_secret_encrypted")
PLACES: Final = (
    _CLIENT_SECRETS,
    Place("access tokens", "ifood_authorizations", "access_token_encrypted"),
    Place("refresh tokens", "ifood_authorizations", "refresh_token_encrypted"),
)


@dataclass(frozen=True, slots=True)
class SecretCount:
    """How many secrets of one sort need the newest key, an older one, or one that is missing."""

    what: str
    newest: int
    older: int
    unreadable: int


def survey_secrets(engine: Engine, cipher: Cipher) -> list[SecretCount]:
    """Count the stored secrets by the key that they need."""
    return [_count(engine, cipher, place) for place in PLACES]


def require_readable(engine: Engine, cipher: Cipher) -> None:
    """
    Refuse keys that read none of the client secrets, for a process that could do no work.

    Raises UsageError. One that can be read is enough: the other may wait for its key.
    """
    secrets = _count(engine, cipher, _CLIENT_SECRETS)
    if secrets.unreadable and not secrets.newest + secrets.older:
        raise UsageError(
            f"IFOOD_ENCRYPTION_KEYS: none of them reads any of the {secrets.unreadable} client "
            "secrets that are stored: give the keys that the other processes have"
        )


def rotate_secrets(engine: Engine, cipher: Cipher, *, actor: str) -> int:
    """
    Encrypt every secret that an older key reads with the newest; return their number.

    A secret that is replaced meanwhile stays as it is. Processes that have all keys may run. Each
    batch is a transaction, and an act of the operator.
    """
    rotated = 0
    for place in PLACES:
        for rows in _stored(engine, place):
            with transaction(engine) as tx:
                done = sum(_rotate(tx, cipher, place, id_, sealed) for id_, sealed in rows)
                if done:
                    operator_acts.note(
                        tx, "secrets rotate", actor=actor, subject=place.what, rotated=done
                    )
            rotated += done
    return rotated


def _count(engine: Engine, cipher: Cipher, place: Place) -> SecretCount:
    keys = Counter(cipher.key_of(sealed) for rows in _stored(engine, place) for _, sealed in rows)
    newest, unreadable = keys.pop(_NEWEST, 0), keys.pop(None, 0)
    return SecretCount(place.what, newest=newest, older=keys.total(), unreadable=unreadable)


def _stored(engine: Engine, place: Place) -> Iterator[list[tuple[UUID, str]]]:
    wanted = text(
        f"SELECT id, {place.column} AS sealed FROM {place.table} WHERE {place.column} IS NOT NULL"
    )
    with engine.connect() as connection:
        found = connection.execution_options(yield_per=_AT_A_TIME).execute(wanted)
        for rows in found.partitions():
            yield [(row.id, row.sealed) for row in rows]


def _rotate(tx: Connection, cipher: Cipher, place: Place, id_: UUID, sealed: str) -> int:
    if cipher.key_of(sealed) in (_NEWEST, None):
        return 0
    statement = text(
        f"UPDATE {place.table} SET {place.column} = :rotated"
        f" WHERE id = :id AND {place.column} = :sealed"
    )
    rotated = cipher.encrypt(cipher.decrypt(sealed))
    return tx.execute(statement, {"id": id_, "sealed": sealed, "rotated": rotated}).rowcount
