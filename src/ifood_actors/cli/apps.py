"""`ifood-actors apps`: the applications registered at iFood."""

from pathlib import Path
from typing import Annotated

import typer

from ifood_actors.cli.authorize import authorize
from ifood_actors.cli.options import DryRun, Json, Yes
from ifood_actors.cli.output import NO_APPLICATION, document, note, table
from ifood_actors.cli.retry import retry
from ifood_actors.cli.tokens import tokens

app = typer.Typer(help="The applications registered at iFood.", no_args_is_help=True)

app.command("authorize")(authorize)
app.command("tokens")(tokens)
app.command("retry")(retry)

_COLUMNS = (
    *("name", "kind", "client_id", "authorizations", "needs_authorization"),
    *("created_at", "updated_at"),
)


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
    from ifood_actors.cli.work import apps

    apps.add(
        name,
        client_id=client_id,
        kind=kind,
        client_secret_file=client_secret_file,
        dry_run=dry_run,
        yes=yes,
        json=json,
    )


@app.command("list")
def list_(*, json: Json = False) -> None:
    """
    List the applications; secrets are never shown.

    With the number of their authorizations, and of those that only the owner can renew.
    """
    from ifood_actors.cli.work import apps

    found, zone = apps.known()
    if json:
        document([dict(zip(_COLUMNS, row, strict=True)) for row in found])
        return
    table(_COLUMNS, found, zone=zone)
    if not found:
        note(NO_APPLICATION)
