"""`ifood-actors config`: the settings as they are in effect."""

from operator import attrgetter
from typing import Annotated

import typer

from ifood_actors.cli.options import Json
from ifood_actors.cli.output import listing, say

_COLUMNS = ("name", "value", "origin")


def config(
    *,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print docs/configuration.md instead.")
    ] = False,
    json: Json = False,
) -> None:
    """Show every setting and its origin; secrets are masked."""
    from ifood_actors.cli.work import config_page

    if markdown:
        say(config_page.markdown().rstrip("\n"))
        return
    rows, zone = config_page.effective()
    listing(rows, _COLUMNS, attrgetter(*_COLUMNS), json=json, zone=zone)
