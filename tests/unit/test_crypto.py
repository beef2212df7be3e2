"""Secrets at rest."""

import pytest
from cryptography.fernet import Fernet

from ifood_actors.errors import UsageError
from ifood_actors.ifood import Vault

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def test_what_is_encrypted_can_be_read_again_after_a_rotation():
    stored = Vault([OLD]).encrypt("pàssword")

    assert "pàssword" not in stored
    assert Vault([NEW, OLD]).decrypt(stored) == "pàssword"


def test_the_newest_key_encrypts():
    assert Vault([NEW]).decrypt(Vault([NEW, OLD]).encrypt("x")) == "x"


def test_without_a_key_no_secret_is_stored():
    with pytest.raises(UsageError, match="refusing to store a secret without a key"):
        Vault([]).encrypt("x")


def test_a_key_that_was_taken_away_is_named_as_the_reason():
    stored = Vault([OLD]).encrypt("x")

    with pytest.raises(UsageError, match="cannot be decrypted"):
        Vault([NEW]).decrypt(stored)


@pytest.mark.parametrize("key", ["", "short", "ä" * 44, pytest.param(OLD[:-2], id="cut")])
def test_a_malformed_key_is_refused_without_being_shown(key):
    with pytest.raises(UsageError, match="key 2 of IFOOD_ENCRYPTION_KEYS") as raised:
        Vault([NEW, key])

    assert not key or key not in str(raised.value)


def test_a_vault_shows_no_key():
    assert repr(Vault([NEW])) == "Vault(keys=1)"
