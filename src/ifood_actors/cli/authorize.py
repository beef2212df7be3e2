"""`ifood-actors apps authorize`: an owner lets a distributed application read stores."""

from typing import Annotated

import typer

from ifood_actors.cli.options import Json, Yes


def authorize(
    name: Annotated[str, typer.Argument(help="A distributed application.")],
    *,
    label: Annotated[
        str | None,
        typer.Option(
            help="What to call the authorization, such as the owner's name; "
            "one that exists is replaced. Without it, the code's name."
        ),
    ] = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """
    Walk an owner through the authorization of one or several stores.

    Prints an address and a code for the owner, who confirms them in iFood's portal within ten
    minutes and is shown another code; that one is read from the terminal or from stdin. The
    accounts of the stores are linked with the authorization. One of the same label that works is
    replaced on a terminal's word or with --yes only, which is settled before any code is asked for;
    its accounts that the new one does not cover are linked no more.
    """
    from ifood_actors.cli.work import authorize as work

    work.authorize(name, label=label, yes=yes, json=json)
