"""Accounts: imported, listed, switched, discovered, and looked for at iFood."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from ifood_actors import operator_acts
from ifood_actors.accounts import (
    BadSheet,
    Imported,
    add_discovered,
    import_sheet,
    list_accounts,
    set_active,
)
from ifood_actors.accounts.identifiers import canonical_id
from ifood_actors.accounts.presence import (
    PRESENCE_MEANINGS,
    Opened,
    Presence,
    authorizations_by_merchant,
    presence_of,
)
from ifood_actors.accounts.sheet import COLUMNS, Entry, write_sheet
from ifood_actors.cli.options import ERRORS_SINCE, MOST, Status
from ifood_actors.cli.output import count, note, outcome
from ifood_actors.cli.work.database import CommandContext, opened, read, require_application
from ifood_actors.cli.work.ifood import link_accounts, stores_of
from ifood_actors.config import Settings
from ifood_actors.db import database_now
from ifood_actors.errors import IfoodActorsError, ServiceUnavailable, UsageError
from ifood_actors.ledger.queries.jobs import JobFilter, find_jobs
from ifood_actors.planning.cadence import next_opening, opening_at
from ifood_actors.planning.planner import cadences

LISTED = COLUMNS


def import_file(file: Path, *, sheet: str | None, dry_run: bool, json: bool) -> None:
    """Import all of a file, or nothing; `-` is stdin."""
    content = _read(file)
    with opened() as command, command.act("accounts import", dry_run=dry_run) as (tx, note_act):
        try:
            done = import_sheet(tx, content, name=sheet)
        except BadSheet as error:
            problems = "\n".join(f"{file}, {problem}" for problem in error.problems)
            raise UsageError(f"{problems}\nnothing was imported") from None
        if done.inserted or done.updated:
            note_act(subject=file.name, **asdict(done))
        now = database_now(tx)
    _report(done, dry_run=dry_run, json=json)
    if done.inserted:
        _note_first_runs(command.settings, now=now)


def listed(
    *,
    active: bool | None = None,
    app: str | None = None,
    cnpj: str | None = None,
    group: str | None = None,
    limit: int | None = None,
) -> tuple[list[Entry], ZoneInfo]:
    """
    Give accounts by name, and the zone to show them in.

    Raises UsageError for an application that there is not.
    """

    def found(tx: Connection) -> list[Entry]:
        if app is not None:
            require_application(tx, app)
        return list_accounts(tx, active=active, app=app, cnpj=cnpj, group=group, limit=limit)

    return read(found)


def write_csv(rows: Sequence[Entry]) -> None:
    """Write accounts to stdout as they are imported."""
    text = StringIO()
    write_sheet(rows, text)
    sys.stdout.buffer.write(text.getvalue().encode())
    sys.stdout.buffer.flush()


def switch(names: list[str], *, active: bool, dry_run: bool, json: bool) -> None:
    """Enable or disable accounts."""
    verb = "enable" if active else "disable"
    with (
        opened() as command,
        command.act(f"accounts {verb}", dry_run=dry_run) as (tx, note_act),
    ):
        done = set_active(tx, names, active=active)
        if done.changed:
            note_act(**asdict(done), names=operator_acts.few(names))
        now = database_now(tx)
        cancelled = _cancelled_meanwhile(tx, names, now=now) if active else 0
    word = f"{verb}d"
    would = "would have " if dry_run else ""
    outcome(
        f"{would}{word} {count(done.changed, 'account')}, {done.unchanged:,} already {word}",
        {"dry_run": dry_run, word: done.changed, f"already_{word}": done.unchanged},
        json=json,
    )
    if cancelled:
        note(
            f"{count(cancelled, 'job')} of the last 24 hours stay cancelled; to run those of an "
            "account: `ifood-actors jobs requeue --status cancelled --since 24h --account NAME`"
        )
    if active and done.changed:
        _note_first_runs(command.settings, now=now)


def discover(app: str, *, inactive: bool, dry_run: bool, json: bool) -> None:
    """Add the stores that an application may read, and link those that it reads for an owner."""
    with opened() as command:
        found = stores_of(command, app)  # minutes perhaps: no transaction is open
        names = {store.id: store.name for _, stores in found for store in stores}
        with command.act("accounts discover", dry_run=dry_run) as (tx, note_act):
            done = add_discovered(tx, names.items(), app=app, active=not inactive)
            linked = 0
            for identity, stores in found:
                links = link_accounts(tx, [store.id for store in stores], identity)
                linked += links.changed if links else 0
            if done.inserted or done.updated or linked:
                note_act(subject=app, **asdict(done), linked=linked, inactive=inactive)
            now = database_now(tx)
    _report(done, dry_run=dry_run, json=json)
    if done.inserted and not inactive:
        _note_first_runs(command.settings, now=now)


def not_ours(rows: Sequence[Entry]) -> list[dict[str, object]]:
    """Ask iFood for the stores of each application; give the accounts that are not among them."""
    with opened() as command:
        linked = command.read(authorizations_by_merchant)
        apps = sorted({row.app for row in rows if row.app})
        stores = {each: _opened(command, each) for each in apps}
    judged = (
        (row, presence_of(row, linked.get(row.ifood_merchant_id), stores.get(row.app or "")))
        for row in rows
    )
    return [
        {
            "name": row.name,
            "ifood_merchant_id": row.ifood_merchant_id,
            "app": row.app,
            "presence": found.value,
            "meaning": PRESENCE_MEANINGS[found],
        }
        for row, found in judged
        if found is not Presence.OURS
    ]


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None


def _report(done: Imported, *, dry_run: bool, json: bool) -> None:
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


def _note_first_runs(settings: Settings, *, now: datetime) -> None:
    """Say of each window that is open when accounts that join now run first: they miss it."""
    zone = settings.timezone
    for kind, cadence in cadences(settings).items():
        if opening_at(cadence, at=now, zone=zone):
            start = next_opening(cadence, at=now, zone=zone).window_start.astimezone(zone)
            note(
                f"the window of {kind} is open, and what joins now runs in the next one, "
                f"{start:%Y-%m-%d %H:%M} {zone.key}; to run it now: `ifood-actors plan {kind}`"
            )


def _cancelled_meanwhile(tx: Connection, names: Sequence[str], *, now: datetime) -> int:
    """Count the jobs of the last 24 hours that were cancelled while the accounts were disabled."""
    which = JobFilter(statuses=[Status.CANCELLED], since=now - ERRORS_SINCE)
    cancelled = find_jobs(tx, which, limit=MOST)
    return sum(not {job.account, job.merchant_id}.isdisjoint(names) for job in cancelled)


def _opened(command: CommandContext, app: str) -> Opened | None:
    """Give the stores of an application; None, and a message, if it cannot be asked."""
    try:
        found = stores_of(command, app)
    except (ServiceUnavailable, UsageError):
        raise
    except IfoodActorsError as error:
        note(f"{app}: {error}")
        return None
    return {
        identity.authorization_id: {canonical_id(store.id) or store.id for store in stores}
        for identity, stores in found
    }
