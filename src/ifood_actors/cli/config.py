"""`ifood-actors config`: the settings as they are in effect."""

from typing import Annotated

import typer

from ifood_actors.cli.options import Json
from ifood_actors.cli.output import document, say, table


def config(
    *,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print docs/configuration.md instead.")
    ] = False,
    json: Json = False,
) -> None:
    """Show every setting and its origin; secrets are masked."""
    from ifood_actors.cli import config_page
    from ifood_actors.config import loading

    if markdown:
        say(config_page.markdown().rstrip("\n"))
        return
    effective = loading.load()
    rows = config_page.describe(effective)
    if json:
        document(
            [
                {
                    "name": row.name,
                    "value": row.value_masked,
                    "default": row.default,
                    "origin": row.origin,
                    "meaning": row.meaning,
                }
                for row in rows
            ]
        )
        return
    shown = [(row.name, row.value_masked, row.origin) for row in rows]
    table(("name", "value", "origin"), shown, zone=effective.timezone)
