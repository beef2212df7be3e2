"""
Whatever a secret is spelt like and wherever it is given, no piece of it is shown.

The settings that hold secrets are taken from their declaration, so a new one is tested as well.
"""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import get_args
from urllib.parse import quote

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from unit.test_logs import _restore_logging  # noqa: F401 - used as a fixture

from ifood_actors.cli.main import _run
from ifood_actors.cli.work.config_page import describe
from ifood_actors.config import Settings
from ifood_actors.config.loading import CLIENT_SECRET, SECRETS, load, variable
from ifood_actors.errors import UsageError

PIECE = 6  # characters
Way = tuple[dict[str, str], Path | None]  # an environment, and a file `.env`
NOWHERE = "127.0.0.1:1"


def holds_secret(annotation: object) -> bool:
    return annotation is SecretStr or any(map(holds_secret, get_args(annotation)))


DECLARED = [name for name, each in Settings.model_fields.items() if holds_secret(each.annotation)]

# No piece of six characters is likely in a text by chance, and marks of all kinds stand between.
marks = st.sampled_from(list(";'\"@:/?#&=%+,. $\\()[]{}<>|*~^`!-_\u00e9\u20ac\U0001f511"))
words = st.text("bcdfghjklmnpqrstvwxzBCDFGHJKLMNPQRSTVWXZ", min_size=7, max_size=9)
secrets = st.one_of(
    words,
    st.lists(words, min_size=2, max_size=3).flatmap(
        lambda parts: st.tuples(*[marks] * (len(parts) - 1)).map(
            lambda between: "".join(map("".join, zip(parts, (*between, ""), strict=True)))
        )
    ),
)


def urls(secret: str, scheme: str, path: str) -> list[str]:
    """Give what a person may take for a URL with that password, right and wrong."""
    written = [secret, quote(secret), quote(secret, safe=""), "".join(map(hexed, secret))]
    spelt = [f"{scheme}://u:{each}@{NOWHERE}{path}" for each in written]
    spelt += [f"{scheme}://:{each}@{NOWHERE}{path}" for each in written]
    spelt += [f"{scheme}://u:1234{mark}{secret}@{NOWHERE}{path}" for mark in "/?#;&"]
    for name in ("password", "sslpassword", "PASSWORD", "pass", "ssl_options", "anything"):
        spelt += [f"{scheme}://u@{NOWHERE}{path}?{name}={each}" for each in written]
    spelt += [f"{scheme}://u@{NOWHERE}{path}?{each}" for each in written]
    spelt += [f"{scheme}://u:{written[2]}@{NOWHERE}{path}?heartbeat=5&password={written[2]}"]
    return [*spelt, f"{spelt[2]};{spelt[2]}", f"{spelt[0]} ", f"'{spelt[2]}'", f"x{spelt[0]}"]


def hexed(char: str) -> str:
    return "".join(f"%{byte:02x}" for byte in char.encode())


def spellings(name: str, secret: str) -> list[str]:
    match name:
        case "database_url":
            keywords = [f"host=h password={secret}", f"host=h password='{secret}'"]
            return [secret, *keywords, *urls(secret, "postgresql", "/d")]
        case "broker_url":
            return [secret, *urls(secret, "amqp", "/v"), *urls(secret, "amqps", "/")]
        case "encryption_keys":
            key = Fernet.generate_key().decode()
            return [secret, f"{key},{secret}", f"{secret};{key}", f"'{key}' {secret}"]
        case "alert_urls":
            hooks = [f"slack://{quote(secret, safe='')}/{secret}", f"{secret}://h"]
            return [secret, *hooks, *urls(secret, "json", "/x"), f"json://h,{secret}"]
        case _:
            return [secret, f"'{secret}'", f"  {secret}"]


def pieces(secret: str) -> set[str]:
    """Give every piece, as it is and as JSON and Python would write it."""
    written = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe="")}
    return {text[at : at + PIECE] for text in written for at in range(len(text) - PIECE + 1)}


def test_every_setting_that_is_declared_a_secret_is_treated_as_one():
    assert set(SECRETS) == {*DECLARED, CLIENT_SECRET}


def views(environ: dict[str, str], env_file: Path | None = None) -> Iterator[str]:
    """Give all that is told of settings, valid or not."""
    try:
        found = load(environ, env_file)
    except UsageError as error:
        yield f"{error!r} {error.__cause__!r}"
        return
    yield f"{found} {found!r} {found.model_dump_json()} {describe(found)}"


@pytest.mark.parametrize("name", SECRETS)
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(secret=secrets)
@example(secret="bcdfghj;klmnpqr")
@example(secret="BBBBBBB@BBBBBBB")
@example(secret="bcdfghj;x://klmnpqr@stvwxzb")
def test_no_view_and_no_error_of_settings_shows_a_piece_of_a_secret(name, secret, tmp_path):
    spelt = spellings(name, secret)
    ways: list[Way] = [({variable(name): spelling}, None) for spelling in spelt]
    ways += [way for spelling in few(spelt) for way in other_ways(name, spelling, tmp_path)]
    hidden = pieces(secret)

    for environ, env_file in ways:
        for view in views(environ, env_file):
            assert not {piece for piece in hidden if piece in view}, (environ, view)


def other_ways(name: str, spelling: str, folder: Path) -> list[Way]:
    """Give a secret from files, in place of a file's name, and under a misspelt name."""
    folder = Path(mkdtemp(dir=folder))
    content, dotenv = folder / "secret", folder / ".env"
    content.write_text(spelling)
    dotenv.write_text(f"{variable(name)}='{spelling}'\n")
    return [
        ({f"{variable(name)}_FILE": str(content)}, None),
        ({f"{variable(name)}_FILE": spelling}, None),
        ({f"{variable(name)}_FILE": f"/{spelling}"}, None),
        ({f"{variable(name)}_FIEL": spelling}, None),
        ({variable(name): spelling, f"{variable(name)}_FILE": spelling}, None),
        ({}, dotenv),
    ]


def few(spelt: list[str]) -> list[str]:
    return spelt[:: max(1, len(spelt) // 4)]


COMMANDS = [
    ["config"],
    ["config", "--json"],
    ["doctor", "--offline"],
    ["doctor", "--offline", "--json"],
    ["doctor"],
    ["status"],
    ["db", "check"],
    ["alerts", "check"],
    ["apps", "add", "shop", "--client-id", "id", "--kind", "centralized"],
    ["scheduler"],
    ["worker"],
]
GIVEN = {
    "IFOOD_DATABASE_URL": f"postgresql://u:x@{NOWHERE}/d",
    "IFOOD_BROKER_URL": f"amqp://u:x@{NOWHERE}/v",
    "IFOOD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
}


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.usefixtures("_restore_logging")
def test_no_command_shows_a_piece_of_a_secret(name, command, monkeypatch, capsys, tmp_path):
    """Postgres and RabbitMQ are away, so each says what is wrong; at debug, with tracebacks."""
    secret = "qwrtzpsd;fghjklm\u00e9cvbnmxy"
    ways = [(variable(name), spelling) for spelling in few(spellings(name, secret))]
    monkeypatch.chdir(tmp_path)

    for given_as, spelling in [*ways, (f"{variable(name)}_FILE", secret)]:
        environ = {k: v for k, v in GIVEN.items() if k != variable(name)}
        shown = said(command, environ | {given_as: spelling}, monkeypatch, capsys)

        assert shown
        assert not {piece for piece in pieces(secret) if piece in shown}, (spelling, shown)


def said(
    command: list[str],
    environ: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    with monkeypatch.context() as patch:
        for variable_name, value in {**environ, "IFOOD_LOG_LEVEL": "debug"}.items():
            patch.setenv(variable_name, value)
        patch.setattr(sys, "argv", ["ifood-actors", *command])
        patch.setattr(sys, "stdin", io.StringIO())
        _run()
    told = capsys.readouterr()
    return told.out + told.err
