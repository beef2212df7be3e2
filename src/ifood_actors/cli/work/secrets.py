"""Stored secrets, and the keys that they need."""

from zoneinfo import ZoneInfo

from ifood_actors.cli.work.caller import operator
from ifood_actors.cli.work.database import opened
from ifood_actors.config import loading
from ifood_actors.ifood.tokens import Cipher
from ifood_actors.ifood.tokens.rotation import SecretCount, rotate_secrets, survey_secrets


def survey() -> tuple[list[SecretCount], ZoneInfo]:
    """Count the stored secrets by the key that they need; give the zone to show it in as well."""
    settings = loading.load()
    cipher = Cipher(settings.require_encryption_keys())
    with opened(settings) as command:
        return survey_secrets(command.engine, cipher), settings.timezone


def rotate(*, dry_run: bool) -> tuple[list[SecretCount], int]:
    """Encrypt with the newest key; give what was found before, and how many were, or would be."""
    settings = loading.load()
    cipher = Cipher(settings.require_encryption_keys())
    with opened(settings) as command:
        before = survey_secrets(command.engine, cipher)
        if dry_run:
            return before, sum(each.older for each in before)
        return before, rotate_secrets(command.engine, cipher, actor=operator())
