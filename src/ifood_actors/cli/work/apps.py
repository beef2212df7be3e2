"""Applications: added, listed, asked once more, and what iFood named as their limits."""

import sys
from getpass import getpass
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import SecretStr
from sqlalchemy import Connection, func, select, text
from sqlmodel import col

from ifood_actors import operator_acts
from ifood_actors.accounts import application_names
from ifood_actors.cli.output import agreed, count, outcome
from ifood_actors.cli.work.database import opened, read, require_application
from ifood_actors.cli.work.ifood import ifood
from ifood_actors.config import loading
from ifood_actors.errors import UsageError
from ifood_actors.ifood.http import ApiIdentity, AppCredentials
from ifood_actors.ifood.limiter.named_limits import forget_named_limits, list_named_limits
from ifood_actors.ifood.tables import App, AppKind, Authorization
from ifood_actors.ifood.tokens import Cipher, register_app
from ifood_actors.plain_text import printable

_LONGEST_NAME = 100
_IDENTITY = text("""
    SELECT app.id AS app_id, app.kind, held.id FROM ifood_apps AS app
    LEFT JOIN ifood_authorizations AS held ON held.app_id = app.id AND held.name = :label
    WHERE app.name = :name
""")


def add(
    name: str,
    *,
    client_id: str,
    kind: str,
    client_secret_file: Path | None,
    dry_run: bool,
    yes: bool,
    json: bool,
) -> None:
    """Store an application, or its new credentials, once that is agreed."""
    require_plain(name, what="NAME")
    require_plain(client_id, what="--client-id")
    if kind not in list(AppKind):
        raise UsageError(f"--kind: expected {' or '.join(AppKind)}, not {kind!r}")
    settings = loading.load()
    cipher = Cipher(settings.require_encryption_keys())
    with opened(settings) as command:
        known = name in command.read(application_names)
        secret = _client_secret(client_secret_file)
        facts = {"application": name, "replaced": known}
        what = f"{'replace the credentials of' if known else 'add'} application {name}"
        if not agreed(what, facts, dry_run=dry_run, yes=yes or not known, json=json):
            return
        credentials = AppCredentials(client_id, secret.get_secret_value())
        with command.act("apps add") as (tx, note):
            register_app(tx, cipher, name=name, kind=AppKind(kind), credentials=credentials)
            note(subject=name, client_id=client_id, kind=kind, replaced=known)
    done = "credentials replaced" if known else "added"
    outcome(f"application {name}: {done}", {"dry_run": False, **facts}, json=json)


def known() -> tuple[list[dict[str, object]], ZoneInfo]:
    """List the applications with the number of their authorizations; no secret is read."""
    needing = col(Authorization.needs_authorization_since).is_not(None)
    wanted = (
        select(
            *(col(App.name), col(App.kind), col(App.client_id)),
            func.count(col(Authorization.id)).label("authorizations"),
            func.count(col(Authorization.id)).filter(needing).label("needs_authorization"),
            *(col(App.created_at), col(App.updated_at)),
        )
        .join(Authorization, col(Authorization.app_id) == col(App.id), isouter=True)
        .group_by(col(App.id))
        .order_by(col(App.name))
    )
    return read(lambda tx: [dict(row) for row in tx.execute(wanted).mappings()])


def retry(name: str, label: str, *, dry_run: bool, json: bool) -> None:
    """Ask iFood for a token of one authorization, also after a refusal."""
    facts = {"application": name, "authorization": label}
    what = f"authorization {printable(label)} of application {name}"
    with opened() as command:
        identity = command.read(_identity, name, label)
        if not agreed(f"ask iFood for a token of {what}", facts, dry_run=dry_run, json=json):
            return
        with ifood(command) as asked:
            asked.tokens.retry(identity)
        with command.act("apps retry") as (_, note):
            note(subject=name, label=label)
    outcome(f"iFood has given a token: {what} works", {"dry_run": False, **facts}, json=json)


def reset_limits(name: str, *, dry_run: bool, yes: bool, json: bool) -> None:
    """Forget the limits that iFood named to an application, once that is agreed."""
    with opened() as command:
        command.read(require_application, name)
        named = [one.endpoint for one in command.read(list_named_limits) if one.app == name]
        facts = {"application": name, "forgotten": named}
        what = f"{count(len(named), 'named limit')} of application {name}"
        if not agreed(f"forget {what}", facts, dry_run=dry_run, yes=yes or not named, json=json):
            return
        with command.act("limits reset") as (tx, note):
            if forget_named_limits(tx, app=name):
                note(subject=name, forgotten=operator_acts.few(named))
    outcome(f"forgot {what}", {"dry_run": False, **facts}, json=json)


def _client_secret(path: Path | None) -> SecretStr:
    """Find the secret where it was put; stdin is last, since it may be a pipe without an end."""
    if found := loading.read_client_secret(path):
        return found
    asked = sys.stdin.isatty()
    secret = (getpass("client secret: ") if asked else sys.stdin.read()).strip()
    if not secret:
        raise UsageError(
            "no client secret: give --client-secret-file, IFOOD_CLIENT_SECRET, or write it to stdin"
        )
    return SecretStr(secret)


def require_plain(given: str, *, what: str, but: str = "") -> None:
    """Raise UsageError for a name that a table or a log could not show, and for `but`."""
    plain = given.isprintable() and given == given.strip() and given != but
    if not plain or not 0 < len(given) <= _LONGEST_NAME:
        exception = f", and not {but}" if but else ""
        raise UsageError(f"{what}: expected 1 to {_LONGEST_NAME} printable characters{exception}")


def _identity(connection: Connection, name: str, label: str) -> ApiIdentity:
    require_application(connection, name)
    row = connection.execute(_IDENTITY, {"name": name, "label": label}).one()
    # That of a centralised application is made when it is first used.
    if row.id is None and (row.kind, label) != (AppKind.CENTRALIZED, "*"):
        raise UsageError(
            f"application {name} has no authorization {label!r}; see `ifood-actors apps tokens`"
        )
    return ApiIdentity(row.app_id, row.id)
