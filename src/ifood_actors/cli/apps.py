"""`ifood-actors apps`: the applications registered at iFood."""

import sys
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ifood_actors.cli.authorize import authorize
from ifood_actors.cli.options import DryRun, Json, Yes
from ifood_actors.cli.output import confirm, document, note, outcome, table
from ifood_actors.cli.retry import retry
from ifood_actors.cli.tokens import tokens
from ifood_actors.errors import UsageError

if TYPE_CHECKING:
    from pydantic import SecretStr

app = typer.Typer(help="The applications registered at iFood.", no_args_is_help=True)

app.command("authorize")(authorize)
app.command("tokens")(tokens)
app.command("retry")(retry)

_LONGEST_NAME = 100


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Its name here, as in the column `app` of accounts.")],
    *,
    client_id: Annotated[str, typer.Option(help="The client id that iFood gave it.")],
    kind: Annotated[str, typer.Option(help="`centralized` or `distributed`.")],
    client_secret_file: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Where the secret stands."),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """
    Store an application, or its new credentials.

    The secret comes from --client-secret-file, IFOOD_CLIENT_SECRET or stdin, never from an
    argument, and is stored encrypted with the first of IFOOD_ENCRYPTION_KEYS.
    """
    from ifood_actors import operator_acts
    from ifood_actors.accounts import application_names
    from ifood_actors.cli.caller import operator
    from ifood_actors.cli.database import open_database
    from ifood_actors.config import loading
    from ifood_actors.db import transaction
    from ifood_actors.ifood import AppCredentials, AppKind, Cipher, register_app

    _require_plain(name, what="NAME")
    _require_plain(client_id, what="--client-id")
    if kind not in list(AppKind):
        raise UsageError(f"--kind: expected {' or '.join(AppKind)}, not {kind!r}")
    settings = loading.load()
    cipher = Cipher(settings.require_encryption_keys())
    with open_database(settings) as engine:
        with transaction(engine) as tx:
            known = name in application_names(tx)
        secret = _client_secret(client_secret_file)
        facts = {"dry_run": dry_run, "application": name, "replaced": known}
        if dry_run:
            act = "replace the credentials of" if known else "add"
            outcome(f"would {act} application {name}", facts, json=json)
            return
        if known:
            confirm(f"replace the credentials of application {name}?", yes=yes)
        credentials = AppCredentials(client_id, secret.get_secret_value())
        with transaction(engine) as tx:
            register_app(tx, cipher, name=name, kind=AppKind(kind), credentials=credentials)
            operator_acts.note(
                tx,
                "apps add",
                actor=operator(),
                subject=name,
                client_id=client_id,
                kind=kind,
                replaced=known,
            )
    done = "credentials replaced" if known else "added"
    outcome(f"application {name}: {done}", facts, json=json)


@app.command("list")
def list_(*, json: Json = False) -> None:
    """
    List the applications; secrets are never shown.

    With the number of their authorizations, and of those that only the owner can renew.
    """
    from sqlalchemy import func, select
    from sqlmodel import col

    from ifood_actors.cli.database import open_database
    from ifood_actors.config import loading
    from ifood_actors.db import transaction
    from ifood_actors.ifood import App, Authorization

    settings = loading.load()
    needing = col(Authorization.needs_authorization_since).is_not(None)
    wanted = (
        select(
            *(col(App.name), col(App.kind), col(App.client_id)),
            func.count(col(Authorization.id)),
            func.count(col(Authorization.id)).filter(needing),
            *(col(App.created_at), col(App.updated_at)),
        )
        .join(Authorization, col(Authorization.app_id) == col(App.id), isouter=True)
        .group_by(col(App.id))
        .order_by(col(App.name))
    )
    with open_database(settings) as engine, transaction(engine) as tx:
        rows = tx.execute(wanted).all()
    columns = (
        *("name", "kind", "client_id", "authorizations", "needs_authorization"),
        *("created_at", "updated_at"),
    )
    if json:
        document([dict(zip(columns, row, strict=True)) for row in rows])
        return
    table(columns, rows, zone=settings.timezone)
    if not rows:
        note("no application yet: see `ifood-actors apps add --help`")


def _client_secret(path: Path | None) -> "SecretStr":
    """Find the secret where it was put; stdin is last, since it may be a pipe that nobody ends."""
    from pydantic import SecretStr

    from ifood_actors.config.loading import read_client_secret

    if found := read_client_secret(path):
        return found
    asked = sys.stdin.isatty()
    secret = (getpass("client secret: ") if asked else sys.stdin.read()).strip()
    if not secret:
        raise UsageError(
            "no client secret: give --client-secret-file, IFOOD_CLIENT_SECRET, or write it to stdin"
        )
    return SecretStr(secret)


def _require_plain(text: str, *, what: str) -> None:
    plain = text.isprintable() and text == text.strip() and 0 < len(text) <= _LONGEST_NAME
    if not plain:
        raise UsageError(f"{what}: expected 1 to {_LONGEST_NAME} printable characters")
