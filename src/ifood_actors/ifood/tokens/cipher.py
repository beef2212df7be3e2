"""Secrets at rest: Fernet, with keys that can be rotated."""

from collections.abc import Sequence
from contextlib import suppress

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ifood_actors.errors import UsageError


class Cipher:
    """
    Encrypts with the first key and decrypts with any, so that a key can be rotated.

    One without keys can be made, and refuses to work: most commands need none.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        """Raise UsageError when a key is malformed; its text names the position, not the key."""
        self._fernets = [_fernet(key, position) for position, key in enumerate(keys, start=1)]

    def __repr__(self) -> str:
        return f"Cipher(keys={len(self._fernets)})"

    def encrypt(self, secret: str) -> str:
        """Raise UsageError when there is no key."""
        return self._keys("store").encrypt(secret.encode()).decode()

    def decrypt(self, encrypted: str) -> str:
        """Raise UsageError when there is no key, or none that fits."""
        try:
            return self._keys("read").decrypt(encrypted.encode()).decode()
        except InvalidToken:
            raise UsageError(
                "a stored secret cannot be decrypted with any of IFOOD_ENCRYPTION_KEYS: "
                "add the key that it was stored with, or store the secret again"
            ) from None

    def key_of(self, encrypted: str) -> int | None:
        """Tell which key it was encrypted with, from 1, the newest, on; None when it is lost."""
        for position, fernet in enumerate(self._fernets, start=1):
            with suppress(InvalidToken):
                fernet.decrypt(encrypted.encode())
                return position
        return None

    def _keys(self, act: str) -> MultiFernet:
        if not self._fernets:
            raise UsageError(
                f"refusing to {act} a secret without a key: set IFOOD_ENCRYPTION_KEYS to a Fernet "
                "key (32 bytes in URL-safe base64)"
            )
        return MultiFernet(self._fernets)


def _fernet(key: str, position: int) -> Fernet:
    try:
        return Fernet(key)
    except ValueError:
        raise UsageError(
            f"key {position} of IFOOD_ENCRYPTION_KEYS is no Fernet key "
            "(32 bytes in URL-safe base64)"
        ) from None
