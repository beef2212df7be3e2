"""Settings shown to people: `ifood-actors config` and docs/configuration.md."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from ifood_actors.config import SettingOrigin, Settings, Unset, loading
from ifood_actors.config.loading import REFUSED, SECRETS, as_text, variable
from ifood_actors.kinds import KINDS
from ifood_actors.masking import MASK, shown_broker, shown_database

APPS_ADD_ONLY = "the secret that `ifood-actors apps add` stores; read by that command only"


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One variable; `value`, masked, and `default` are texts that may be shown to anyone."""

    name: str
    value: str
    default: str
    origin: SettingOrigin
    meaning: str


def effective() -> tuple[list[SettingRow], ZoneInfo]:
    """Load the settings and describe them; give the zone to show them in as well."""
    settings = loading.load()
    return describe(settings), settings.timezone


def describe(settings: Settings) -> list[SettingRow]:
    """List every setting in the order of the documentation, secrets masked."""
    return [_row(settings, name, field) for name, field in _fields()]


def markdown() -> str:
    """Render docs/configuration.md."""
    rows = [(variable(name), _default(field), _meaning(field)) for name, field in _fields()]
    rows.append((variable("client_secret"), "none", APPS_ADD_ONLY))
    table = "\n".join(f"| `{name}` | {default} | {meaning} |" for name, default, meaning in rows)
    secrets = ", ".join(f"`{variable(name)}_FILE`" for name in SECRETS)
    refused = "\n".join(f"`{variable(name)}` is refused: {why}." for name, why in REFUSED.items())
    return _PAGE.format(table=table, secrets=secrets, refused=refused)


def _fields() -> list[tuple[str, FieldInfo]]:
    """List the settings in the order of the documentation: windows come after their zone."""
    windows = [kind.window_setting for kind in KINDS.values()]
    own = [name for name in Settings.model_fields if name not in windows]
    after = own.index("timezone") + 1
    names = [*own[:after], *windows, *own[after:]]
    return [(name, Settings.model_fields[name]) for name in names]


def _row(settings: Settings, name: str, field: FieldInfo) -> SettingRow:
    value = getattr(settings, name)
    fallback: SettingOrigin = "code" if name in settings.model_fields_set else "default"
    return SettingRow(
        name=variable(name),
        value=_default(field) if value is None else _show(value, field=name),
        default=_default(field),
        origin=settings._origins.get(name, fallback),  # noqa: SLF001 - kept for this reader
        meaning=_meaning(field),
    )


def _meaning(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def _default(field: FieldInfo) -> str:
    for mark in field.metadata:
        if isinstance(mark, Unset):
            return mark.meaning
    return _show(field.default)


def _show(value: object, *, field: str = "") -> str:
    text = as_text(value)
    if not isinstance(value, SecretStr):
        return text
    match field:
        case "database_url":
            return shown_database(text)
        case "broker_url":
            return shown_broker(text)
        case "encryption_keys":
            return f"{text.count(',') + 1} key(s), hidden"
        case "alert_urls":
            return f"{text.count(' ') + 1} address(es), hidden"
        case _:
            return MASK


_PAGE = """\
# Configuration

<!-- Written by `ifood-actors config --markdown`; a test fails when it is stale. -->

Settings are environment variables, or lines `NAME=value` of a file `.env` in the current folder.
The environment wins, and an empty variable counts as not given.
Only an empty `IFOOD_API_CA_FILE` is an error: it would trust many authorities instead of one.
An unknown `IFOOD_` variable is an error that names the nearest known one.

Durations are written as `45s`, `10m`, `4h`, `2d` or `1h30m`.
Windows are written as `mon 08:00-12:00` or `daily 22:00-02:00`, in the zone of `IFOOD_TIMEZONE`.
Secrets can stand in a file instead: {secrets}.
Such a file, and `.env`, must be of the same user as the process or of root, written by no other.
{refused}

| variable | default | meaning |
|---|---|---|
{table}
"""
