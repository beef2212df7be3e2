"""Secrets at rest."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from ifood_actors.errors import UsageError
from ifood_actors.ifood.tokens import Cipher

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def test_what_is_encrypted_can_be_read_again_after_a_rotation():
    stored = Cipher([OLD]).encrypt("pàssword")

    assert "pàssword" not in stored
    assert Cipher([NEW, OLD]).decrypt(stored) == "pàssword"


def test_the_newest_key_encrypts():
    assert Cipher([NEW]).decrypt(Cipher([NEW, OLD]).encrypt("x")) == "x"


def test_no_step_of_the_documented_rotation_writes_what_the_step_before_cannot_read():
    keys = {"old": OLD, "new": NEW}
    steps = re.findall(r"`IFOOD_ENCRYPTION_KEYS=([a-z,]+)`", OPERATIONS.read_text())
    assert steps[-1] == "new"

    ciphers = [Cipher([keys[name] for name in step.split(",")]) for step in ("old", *steps)]
    for before, after in pairwise(ciphers):  # while some processes have been restarted
        assert before.decrypt(after.encrypt("x")) == "x"
        assert after.decrypt(before.encrypt("x")) == "x"


def test_without_a_key_no_secret_is_stored():
    with pytest.raises(UsageError, match="refusing to store a secret without a key"):
        Cipher([]).encrypt("x")


def test_a_key_that_was_taken_away_is_named_as_the_reason():
    stored = Cipher([OLD]).encrypt("x")

    with pytest.raises(UsageError, match="cannot be decrypted"):
        Cipher([NEW]).decrypt(stored)


@pytest.mark.parametrize("key", ["", "short", "ä" * 44, pytest.param(OLD[:-2], id="cut")])
def test_a_malformed_key_is_refused_without_being_shown(key):
    with pytest.raises(UsageError, match="key 2 of IFOOD_ENCRYPTION_KEYS") as raised:
        Cipher([NEW, key])

    assert not key or key not in str(raised.value)


def test_a_cipher_shows_no_key():
    assert repr(Cipher([NEW])) == "Cipher(keys=1)"
