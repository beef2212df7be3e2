"""Secrets under a new key, whoever writes them meanwhile."""

from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text
from support.distributed import register

from ifood_actors.db import transaction
from ifood_actors.ifood.tokens import Cipher, rotation
from ifood_actors.ifood.tokens.rotation import SecretCount, rotate_secrets, survey_secrets

pytestmark = pytest.mark.services

LOST, OLD, NEW = (Fernet.generate_key().decode() for _ in range(3))
FORMER, BOTH = Cipher([OLD]), Cipher([NEW, OLD])
ACCESS = "access_token_encrypted"


@pytest.fixture
def app_id(engine: Engine) -> UUID:
    return register(engine, cipher=FORMER)


def store(engine: Engine, app_id: UUID, name: str, cipher: Cipher, *, refresh: bool = True) -> None:
    tokens = {"access": cipher.encrypt(f"access {name}"), "refresh": None}
    if refresh:
        tokens["refresh"] = cipher.encrypt(f"refresh {name}")
    with transaction(engine) as tx:
        tx.execute(
            text(
                "INSERT INTO ifood_authorizations"
                " (app_id, name, access_token_encrypted, refresh_token_encrypted)"
                " VALUES (:app_id, :name, :access, :refresh)"
            ),
            {"app_id": app_id, "name": name, **tokens},
        )


def column(engine: Engine, name: str, table: str = "ifood_authorizations") -> list[str]:
    with transaction(engine) as tx:
        return list(tx.execute(text(f"SELECT {name} FROM {table} ORDER BY name")).scalars())


def test_every_secret_is_counted_by_the_key_that_it_needs(engine, app_id):
    store(engine, app_id, "a", FORMER)
    store(engine, app_id, "b", BOTH, refresh=False)
    store(engine, app_id, "c", Cipher([LOST]))

    assert survey_secrets(engine, BOTH) == [
        SecretCount("client secrets", newest=0, older=1, unreadable=0),
        SecretCount("access tokens", newest=1, older=1, unreadable=1),
        SecretCount("refresh tokens", newest=0, older=1, unreadable=1),
    ]


def test_after_a_rotation_the_newest_key_is_enough(engine, app_id, monkeypatch):
    monkeypatch.setattr(rotation, "_AT_A_TIME", 2)
    names = [f"owner {number}" for number in range(5)]
    for name in names:
        store(engine, app_id, name, FORMER)
    assert rotate_secrets(engine, BOTH, actor="cli maria@host") == 1 + 2 * len(names)

    new = Cipher([NEW])
    assert [new.decrypt(sealed) for sealed in column(engine, ACCESS)] == [
        f"access {name}" for name in names
    ]
    assert {each.older + each.unreadable for each in survey_secrets(engine, new)} == {0}
    assert rotate_secrets(engine, BOTH, actor="cli maria@host") == 0


def test_what_no_key_reads_stays_as_it_is(engine, app_id):
    store(engine, app_id, "c", Cipher([LOST]))
    before = column(engine, ACCESS)

    assert rotate_secrets(engine, BOTH, actor="cli maria@host") == 1

    assert column(engine, ACCESS) == before


def test_a_token_that_is_renewed_meanwhile_is_not_put_back(engine, app_id, monkeypatch):
    store(engine, app_id, "a", FORMER, refresh=False)
    renewed = BOTH.encrypt("renewed")
    read = rotation._stored

    def read_then_renewed(engine, place):
        for rows in read(engine, place):
            with transaction(engine) as tx:
                tx.execute(text(f"UPDATE ifood_authorizations SET {ACCESS} = :it"), {"it": renewed})
            yield rows

    monkeypatch.setattr(rotation, "_stored", read_then_renewed)

    assert rotate_secrets(engine, BOTH, actor="cli maria@host") == 1  # the client secret

    assert column(engine, ACCESS) == [renewed]
