"""`ifood-actors accounts`: the restaurants whose data is pulled."""

from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Annotated

import typer

from ifood_actors.cli.options import (
    MOST,
    Active,
    AppName,
    Cnpj,
    DryRun,
    Group,
    Json,
    KindFilter,
    name_or_merchant,
)
from ifood_actors.cli.output import count, document, listing, say, table

app = typer.Typer(help="The restaurants whose data is pulled.", no_args_is_help=True)

Names = Annotated[
    list[str],
    typer.Argument(parser=name_or_merchant, help="Names or merchant ids.", metavar="NAME"),
]
_IDLE = ("account", "merchant_id", "kind", "nothing_since", "last_asked", "asked_again_on")


@app.command()
def check(
    *,
    active: Active = None,
    app_name: AppName = None,
    cnpj: Cnpj = None,
    group: Group = None,
    json: Json = False,
) -> None:
    """
    Ask iFood whether each account's merchant exists and is ours; exit code 1 if one is not.

    It reads the list of stores of each application, a hundred in a request, and changes no
    account. A store may be missing in it for ten minutes after it was linked.
    """
    from ifood_actors.cli.work import accounts

    found, zone = accounts.listed(active=active, app=app_name, cnpj=cnpj, group=group)
    others = accounts.not_ours(found)
    if json:
        document({"checked": len(found), "ours": len(found) - len(others), "others": others})
    else:
        if others:
            table(list(others[0]), [tuple(each.values()) for each in others], zone=zone)
        say(f"{count(len(found), 'account')}: {len(others):,} that iFood does not list as ours")
    if others:
        raise typer.Exit(1)


@app.command()
def idle(
    *,
    kind: KindFilter = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 100,
    json: Json = False,
) -> None:
    """
    List active accounts that have answered nothing but 404 for 14 days, by kind and name.

    They have no anticipation plan, or sell nothing; one that is listed for every kind may not
    exist. With IFOOD_ANTICIPATIONS_IDLE_DAYS they are asked for anticipations only now and then.
    """
    from ifood_actors.cli.work import reading

    found, zone = reading.idle_accounts(kind)
    columns = [name.replace("_", " ") for name in _IDLE]
    listing(found, columns, itemgetter(*_IDLE), limit=limit, json=json, zone=zone)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or .xlsx; `-` is stdin.")],
    *,
    sheet: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of a workbook; else the first that is not hidden."),
    ] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """
    Import a CSV file or a workbook: all of it, or nothing.

    Columns name, ifood_merchant_id, timezone, priority, active, app, cnpj, group; the first two
    are needed, in any order. CSV is in UTF-8, separated by ; or , or tabs; of a workbook (.xlsx,
    .xls, .ods) one sheet is read. An account whose merchant is known is updated. Every line that
    is wrong is named, and then nothing is imported.
    """
    from ifood_actors.cli.work import accounts

    accounts.import_file(file, sheet=sheet, dry_run=dry_run, json=json)


@app.command()
def export(*, json: Json = False) -> None:
    """Print all accounts as CSV that imports again unchanged."""
    from ifood_actors.cli.work import accounts

    rows, _ = accounts.listed()
    if json:
        document(rows)
    else:
        accounts.write_csv(rows)


@app.command("list")
def list_(
    *,
    active: Active = None,
    app_name: AppName = None,
    cnpj: Cnpj = None,
    group: Group = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 100,
    json: Json = False,
) -> None:
    """List accounts by name."""
    from ifood_actors.cli.work import accounts

    found, zone = accounts.listed(
        active=active, app=app_name, cnpj=cnpj, group=group, limit=limit + 1
    )
    columns = accounts.LISTED
    listing(found, columns, attrgetter(*columns), limit=limit, json=json, zone=zone)


@app.command()
def enable(names: Names, *, dry_run: DryRun = False, json: Json = False) -> None:
    """Let accounts take part in the runs planned from now on."""
    from ifood_actors.cli.work import accounts

    accounts.switch(names, active=True, dry_run=dry_run, json=json)


@app.command()
def disable(names: Names, *, dry_run: DryRun = False, json: Json = False) -> None:
    """
    Plan no more jobs for accounts.

    Jobs that are waiting are cancelled when their turn comes.
    """
    from ifood_actors.cli.work import accounts

    accounts.switch(names, active=False, dry_run=dry_run, json=json)


@app.command()
def discover(
    *,
    app_name: Annotated[
        str, typer.Option("--app", metavar="NAME", help="The application to ask with.")
    ],
    inactive: Annotated[bool, typer.Option("--inactive", help="Add them disabled.")] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """
    Add the stores that an application may read.

    Those that are known keep their name and whether they are active. A store of a distributed
    application is from now on read with the authorization that covers it.
    """
    from ifood_actors.cli.work import accounts

    accounts.discover(app_name, inactive=inactive, dry_run=dry_run, json=json)
