"""The accounts of the database: imported by merchant, listed, switched on and off."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, TextClause, text

from ifood_actors.accounts.identifiers import canonical_id
from ifood_actors.accounts.sandbox import read_bounded
from ifood_actors.accounts.sheet import COLUMNS, DEFAULT_TIMEZONE, Entry, fitting_name
from ifood_actors.accounts.spelling import stored_ids
from ifood_actors.db import read
from ifood_actors.errors import UsageError

_BATCH = 10_000  # accounts a statement
_STORED_AS = {"app": "app_id", "group": "group_name"}

_FIND = text("""
    SELECT id, name, ifood_merchant_id AS merchant_id, active FROM accounts
    WHERE name = ANY(:names) OR ifood_merchant_id = ANY(:names)
""")
_SWITCH = text("""
    UPDATE accounts SET active = :active, updated_at = now()
    WHERE id = ANY(:ids) AND active <> :active
""")
_BUSIEST_SHARE = text("""
    SELECT coalesce(max(accounts) / sum(accounts), 1)::float8
    FROM (SELECT count(*) AS accounts FROM accounts WHERE active GROUP BY app_id) AS app
""")
_NAMES_OF = text("""
    SELECT id, name, ifood_merchant_id AS merchant_id FROM accounts WHERE id = ANY(:ids)
    ORDER BY name, ifood_merchant_id
""")
_COUNT_ACTIVE = text("SELECT count(*) FROM accounts WHERE active")
_LIST = """
    SELECT account.name, account.ifood_merchant_id, account.timezone, account.priority,
      account.active, app.name AS app, account.cnpj, account.group_name AS "group"
    FROM accounts AS account LEFT JOIN ifood_apps AS app ON app.id = account.app_id
    WHERE (CAST(:active AS boolean) IS NULL OR account.active = :active)
      AND (CAST(:app AS text) IS NULL OR app.name = :app)
      AND (CAST(:cnpj AS text) IS NULL OR account.cnpj = :cnpj)
      AND (CAST(:group AS text) IS NULL OR account.group_name = :group)
    ORDER BY account.name, account.ifood_merchant_id LIMIT CAST(:limit AS bigint)
"""


@dataclass(frozen=True, slots=True)
class Imported:
    """
    What an import did.

    `assumed_app` was used because the file names none and no other exists; `without_app` accounts
    of the file belong to no application and cannot be pulled.
    """

    inserted: int
    updated: int
    unchanged: int
    without_app: int = 0
    assumed_app: str | None = None


@dataclass(frozen=True, slots=True)
class Switched:
    """How many accounts were switched, and how many were so already."""

    changed: int
    unchanged: int


def import_sheet(connection: Connection, content: bytes, *, name: str | None = None) -> Imported:
    """
    Insert the accounts of a CSV file or a workbook, or update those whose merchant is known.

    `name` is the sheet of the workbook. A column that the file lacks changes nothing in accounts
    that exist. Raises BadSheet when anything is wrong, and then nothing was changed.
    """
    apps = application_names(connection)
    sheet = read_bounded(content, apps=apps, name=name)
    columns, entries = set(sheet.columns), sheet.entries
    assumed = apps[0] if len(apps) == 1 and "app" not in columns else None
    if assumed:
        columns.add("app")
        entries = [replace(entry, app=assumed) for entry in entries]

    done = _upsert(connection, entries, updates=columns - {"ifood_merchant_id"})
    without_app = sum(entry.app is None for entry in entries)
    return replace(done, without_app=without_app, assumed_app=assumed)


def add_discovered(
    connection: Connection, stores: Iterable[tuple[str, str]], *, app: str, active: bool
) -> Imported:
    """
    Insert the stores (id, name) that an application may read.

    Those that are known keep their name and whether they are active: an operator gave them both.
    A new one's name is changed as far as a sheet could not hold it.
    """
    entries = {
        id_: Entry(name=fitting_name(name) or id_, ifood_merchant_id=id_, active=active, app=app)
        for id_, name in ((canonical_id(given) or given, name) for given, name in stores)
    }.values()
    return _upsert(connection, entries, updates={"app"})


def list_accounts(
    connection: Connection,
    *,
    active: bool | None = None,
    app: str | None = None,
    cnpj: str | None = None,
    group: str | None = None,
    limit: int | None = None,
) -> list[Entry]:
    """List accounts by name; None of a filter is all."""
    values = {"active": active, "app": app, "cnpj": cnpj, "group": group, "limit": limit}
    return read(Entry, connection, _LIST, **values)


def set_active(connection: Connection, names: Sequence[str], *, active: bool) -> Switched:
    """
    Switch accounts on or off, by name or merchant id.

    Raises UsageError when one is not there, or a name fits several; then nothing was changed.
    """
    found = _find(connection, names)
    shared = Counter(row.name for row in found)
    ambiguous = sorted(name for name in set(names) if shared[name] > 1)
    if ambiguous:
        raise UsageError(
            f"several accounts have the name {_quoted(ambiguous)}: give their merchant ids"
        )
    connection.execute(_SWITCH, {"ids": [row.id for row in found], "active": active})
    changed = sum(row.active != active for row in found)
    return Switched(changed, len(found) - changed)


def count_active(connection: Connection, only: Sequence[str] | None = None) -> int:
    """
    Count the accounts that take part in a run: all active ones, or those named.

    Raises UsageError when one that is named does not exist or is disabled.
    """
    if not only:
        count: int = connection.execute(_COUNT_ACTIVE).scalar_one()
        return count
    found = _find(connection, only)
    disabled = sorted(row.name for row in found if not row.active)
    if disabled:
        raise UsageError(f"disabled: {_quoted(disabled)}; see `ifood-actors accounts enable`")
    return len(found)


def busiest_share(connection: Connection) -> float:
    """Return the share of the active accounts that the application with most of them has."""
    share: float = connection.execute(_BUSIEST_SHARE).scalar_one()
    return share


def names_of(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, tuple[str, str]]:
    """Return name and merchant of accounts, by name."""
    rows = connection.execute(_NAMES_OF, {"ids": list(ids)})
    return {row.id: (row.name, row.merchant_id) for row in rows}


def require_known(connection: Connection, names: Sequence[str]) -> None:
    """Raise UsageError, naming those that no account has as its name or merchant id."""
    _find(connection, names)


def application_names(connection: Connection) -> list[str]:
    """List the names of the applications that accounts can belong to."""
    return list(connection.execute(text("SELECT name FROM ifood_apps ORDER BY name")).scalars())


def _upsert(
    connection: Connection, entries: Iterable[Entry], *, updates: Collection[str]
) -> Imported:
    entries = list(entries)
    stored = stored_ids(connection, [entry.ifood_merchant_id for entry in entries])
    # In one order for everybody, so that two imports wait for each other and never deadlock.
    ordered = sorted(
        (replace(entry, ifood_merchant_id=stored[entry.ifood_merchant_id]) for entry in entries),
        key=lambda entry: entry.ifood_merchant_id,
    )
    statement = _upsert_statement(updates)
    inserted = updated = 0
    for start in range(0, len(ordered), _BATCH):
        batch = ordered[start : start + _BATCH]
        rows = connection.execute(
            statement,
            {column: [getattr(entry, column) for entry in batch] for column in COLUMNS},
        )
        outcomes = Counter(rows.scalars())
        inserted += outcomes[True]
        updated += outcomes[False]
    return Imported(inserted, updated, len(ordered) - inserted - updated)


def _upsert_statement(updates: Collection[str]) -> TextClause:
    changed = [_STORED_AS.get(column, column) for column in sorted(updates)]
    changes = ", ".join(f"{column} = excluded.{column}" for column in changed)
    differs = " OR ".join(
        f"account.{column} IS DISTINCT FROM excluded.{column}" for column in changed
    )
    return text(f"""
        INSERT INTO accounts AS account
          (ifood_merchant_id, name, timezone, priority, active, app_id, cnpj, group_name)
        SELECT entry.ifood_merchant_id, entry.name, coalesce(entry.timezone, '{DEFAULT_TIMEZONE}'),
          coalesce(entry.priority, 0), coalesce(entry.active, true), app.id,
          entry.cnpj, entry.group_name
        FROM unnest(CAST(:ifood_merchant_id AS text[]), CAST(:name AS text[]),
          CAST(:timezone AS text[]), CAST(:priority AS int[]), CAST(:active AS boolean[]),
          CAST(:app AS text[]), CAST(:cnpj AS text[]), CAST(:group AS text[]))
          AS entry(ifood_merchant_id, name, timezone, priority, active, app, cnpj, group_name)
        LEFT JOIN ifood_apps AS app ON app.name = entry.app
        ORDER BY entry.ifood_merchant_id
        ON CONFLICT (ifood_merchant_id) DO UPDATE SET {changes}, updated_at = now()
        WHERE {differs}
        RETURNING account.xmax = 0 AS inserted  -- a row that was there has an xmax: its lock
    """)


def _find(connection: Connection, names: Sequence[str]) -> Sequence[Row[Any]]:
    found = connection.execute(_FIND, {"names": list(names)}).all()
    known = {word for row in found for word in (row.name, row.merchant_id)}
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        raise UsageError(f"no such account: {_quoted(unknown)}")
    return found


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
