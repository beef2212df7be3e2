"""`ifood-actors secrets`: the keys that stored secrets are encrypted with."""

from operator import attrgetter
from typing import TYPE_CHECKING

import typer

from ifood_actors.cli.options import DryRun, Json
from ifood_actors.cli.output import count, listing, note, outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ifood_actors.ifood.tokens.rotation import SecretCount

app = typer.Typer(help="The keys that stored secrets are encrypted with.", no_args_is_help=True)

_COLUMNS = ("secrets", "newest key", "older keys", "unreadable")


@app.command()
def check(*, json: Json = False) -> None:
    """
    Count the stored secrets by the key of IFOOD_ENCRYPTION_KEYS that they need.

    Exit code 1 when one can be read with none of them.
    """
    from ifood_actors.cli.work import secrets

    found, zone = secrets.survey()
    cells = attrgetter("what", "newest", "older", "unreadable")
    listing(found, _COLUMNS, cells, json=json, zone=zone, advice=_advice(found))
    if any(each.unreadable for each in found):
        raise typer.Exit(1)


@app.command()
def rotate(*, dry_run: DryRun = False, json: Json = False) -> None:
    """
    Encrypt all stored secrets with the newest of IFOOD_ENCRYPTION_KEYS.

    Nothing has to be stopped for it, if every process has all keys; what cannot be read stays as
    it is, and makes the exit code 1.
    """
    from ifood_actors.cli.work import secrets

    before, rotated = secrets.rotate(dry_run=dry_run)
    unreadable = sum(each.unreadable for each in before)
    would = "would encrypt" if dry_run else "encrypted"
    outcome(
        f"{would} {count(rotated, 'secret')} with the newest key; {unreadable} cannot be read",
        {"dry_run": dry_run, "rotated": rotated, "unreadable": unreadable},
        json=json,
    )
    if unreadable:
        note(_advice(before))
        raise typer.Exit(1)


def _advice(found: "Sequence[SecretCount]") -> str:
    if any(each.unreadable for each in found):
        return (
            "what cannot be read needs a key that IFOOD_ENCRYPTION_KEYS lacks: add it, or store "
            "the secret again by `apps add`, `apps authorize`"
        )
    if any(each.older for each in found):
        return "keep all keys; `ifood-actors secrets rotate` makes the older ones unnecessary"
    return "only the newest key is needed"
