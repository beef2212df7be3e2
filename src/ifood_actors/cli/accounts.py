"""`ifood-actors accounts`: the restaurants whose data is pulled."""

import sys
from contextlib import contextmanager
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ifood_actors.cli.accounts_check import check
from ifood_actors.cli.idle import idle
from ifood_actors.cli.options import (
    MOST,
    Active,
    AppName,
    Cnpj,
    DryRun,
    Group,
    Json,
    name_or_merchant,
)
from ifood_actors.cli.output import count, document, note, outcome, table
from ifood_actors.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sqlalchemy import Connection, Engine

    from ifood_actors.accounts import Entry, Imported
    from ifood_actors.config import Settings

app = typer.Typer(help="The restaurants whose data is pulled.", no_args_is_help=True)

Names = Annotated[
    list[str],
    typer.Argument(parser=name_or_merchant, help="Names or merchant ids.", metavar="NAME"),
]
app.command("check")(check)
app.command()(idle)


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
    from ifood_actors import operator_acts
    from ifood_actors.accounts import BadSheet, import_sheet
    from ifood_actors.cli.caller import operator
    from ifood_actors.cli.database import open_database
    from ifood_actors.config import loading
    from ifood_actors.db import database_now

    content = _read(file)
    settings = loading.load()
    with open_database(settings) as engine, _trial(engine, dry_run=dry_run) as tx:
        try:
            done = import_sheet(tx, content, name=sheet)
        except BadSheet as error:
            problems = "\n".join(f"{file}, {problem}" for problem in error.problems)
            raise UsageError(f"{problems}\nnothing was imported") from None
        if done.inserted or done.updated:
            told = asdict(done)
            operator_acts.note(tx, "accounts import", actor=operator(), subject=file.name, **told)
        now = database_now(tx)
    _report(done, dry_run=dry_run, json=json)
    _note_first_runs(settings, now=now, joined=done.inserted)


@app.command()
def export(*, json: Json = False) -> None:
    """Print all accounts as CSV that imports again unchanged."""
    from ifood_actors.accounts import write_sheet

    rows = _listed()[0]
    if json:
        document(rows)
        return
    text = StringIO()
    write_sheet(rows, text)
    sys.stdout.buffer.write(text.getvalue().encode())
    sys.stdout.buffer.flush()


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
    rows, settings = _listed(
        active=active, app_name=app_name, cnpj=cnpj, group=group, limit=limit + 1
    )
    if json:
        document(rows[:limit])
    else:
        from ifood_actors.accounts import COLUMNS

        shown = [[getattr(row, column) for column in COLUMNS] for row in rows[:limit]]
        table(COLUMNS, shown, zone=settings.timezone)
    if len(rows) > limit:
        note(f"only the first {limit} are shown: see --limit")


@app.command()
def enable(names: Names, *, dry_run: DryRun = False, json: Json = False) -> None:
    """Let accounts take part in the runs planned from now on."""
    _switch(names, active=True, dry_run=dry_run, json=json)


@app.command()
def disable(names: Names, *, dry_run: DryRun = False, json: Json = False) -> None:
    """
    Plan no more jobs for accounts.

    Jobs that are waiting are cancelled when their turn comes.
    """
    _switch(names, active=False, dry_run=dry_run, json=json)


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
    from ifood_actors import operator_acts
    from ifood_actors.accounts import add_discovered
    from ifood_actors.cli.caller import operator
    from ifood_actors.cli.database import open_database
    from ifood_actors.cli.stores import link_accounts, stores_of
    from ifood_actors.config import loading
    from ifood_actors.db import database_now

    settings = loading.load()
    with open_database(settings) as engine:
        found = stores_of(engine, settings, app_name)  # minutes perhaps: no transaction is open
        names = {store.id: store.name for _, stores in found for store in stores}
        with _trial(engine, dry_run=dry_run) as tx:
            done = add_discovered(tx, names.items(), app=app_name, active=not inactive)
            linked = 0
            for identity, stores in found:
                links = link_accounts(tx, [store.id for store in stores], identity)
                linked += links.changed if links else 0
            if done.inserted or done.updated or linked:
                told = {**asdict(done), "linked": linked, "inactive": inactive}
                operator_acts.note(
                    tx, "accounts discover", actor=operator(), subject=app_name, **told
                )
            now = database_now(tx)
    _report(done, dry_run=dry_run, json=json)
    _note_first_runs(settings, now=now, joined=0 if inactive else done.inserted)


def _switch(names: list[str], *, active: bool, dry_run: bool, json: bool) -> None:
    from ifood_actors import operator_acts
    from ifood_actors.accounts import set_active
    from ifood_actors.cli.caller import operator
    from ifood_actors.cli.database import open_database
    from ifood_actors.cli.joining import cancelled_meanwhile
    from ifood_actors.config import loading
    from ifood_actors.db import database_now

    settings, verb = loading.load(), "enable" if active else "disable"
    with open_database(settings) as engine, _trial(engine, dry_run=dry_run) as tx:
        done = set_active(tx, names, active=active)
        if done.changed:
            told = {**asdict(done), "names": operator_acts.few(names)}
            operator_acts.note(tx, f"accounts {verb}", actor=operator(), **told)
        now = database_now(tx)
        cancelled = cancelled_meanwhile(tx, names, now=now) if active else None
    word = f"{verb}d"
    would = "would have " if dry_run else ""
    outcome(
        f"{would}{word} {count(done.changed, 'account')}, {done.unchanged:,} already {word}",
        {"dry_run": dry_run, word: done.changed, f"already_{word}": done.unchanged},
        json=json,
    )
    if cancelled:
        note(cancelled)
    _note_first_runs(settings, now=now, joined=done.changed if active else 0)


def _note_first_runs(settings: "Settings", *, now: "datetime", joined: int) -> None:
    from ifood_actors.cli.joining import first_runs

    for line in first_runs(settings, now=now) if joined else ():
        note(line)


@contextmanager
def _trial(engine: "Engine", *, dry_run: bool) -> "Iterator[Connection]":
    """Open a transaction; a dry run does everything, and takes it back."""
    from ifood_actors.db import transaction

    with transaction(engine) as tx:
        yield tx
        if dry_run:
            tx.rollback()


def _listed(
    *,
    active: bool | None = None,
    app_name: str | None = None,
    cnpj: str | None = None,
    group: str | None = None,
    limit: int | None = None,
) -> "tuple[list[Entry], Settings]":
    from ifood_actors.accounts import list_accounts
    from ifood_actors.cli.database import open_database
    from ifood_actors.cli.lookup import require_application
    from ifood_actors.config import loading
    from ifood_actors.db import transaction

    settings = loading.load()
    with open_database(settings) as engine, transaction(engine) as tx:
        if app_name is not None:
            require_application(tx, app_name)
        rows = list_accounts(tx, active=active, app=app_name, cnpj=cnpj, group=group, limit=limit)
        return rows, settings


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None


def _report(done: "Imported", *, dry_run: bool, json: bool) -> None:
    prefix = "would be: " if dry_run else ""
    outcome(
        f"{prefix}{done.inserted:,} inserted, {done.updated:,} updated, "
        f"{done.unchanged:,} unchanged",
        {"dry_run": dry_run, **asdict(done)},
        json=json,
    )
    if done.assumed_app:
        note(f"application {done.assumed_app} was used: there is no other, and no column app")
    if done.without_app:
        accounts = count(done.without_app, "account")
        note(f"{accounts} without an application: nothing can be pulled for them")
