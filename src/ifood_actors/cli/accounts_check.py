"""`ifood-actors accounts check`: whether iFood knows the restaurants that we ask it for."""

import typer

from ifood_actors.cli.options import Active, AppName, Cnpj, Group, Json
from ifood_actors.cli.output import count, document, say, table


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

    checked, others, zone = accounts.not_ours(active=active, app=app_name, cnpj=cnpj, group=group)
    if json:
        document({"checked": checked, "ours": checked - len(others), "others": others})
    else:
        if others:
            table(list(others[0]), [tuple(each.values()) for each in others], zone=zone)
        say(f"{count(checked, 'account')}: {len(others):,} that iFood does not list as ours")
    if others:
        raise typer.Exit(1)
