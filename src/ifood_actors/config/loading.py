"""From variables to settings: environment, `.env`, files of secrets, and what is wrong in them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from dotenv.parser import parse_stream
from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from ifood_actors import postgres_url
from ifood_actors.checks import database_url
from ifood_actors.config.settings import PREFIX, SettingOrigin, Settings
from ifood_actors.errors import UsageError
from ifood_actors.notation import format_duration
from ifood_actors.ownership import opened
from ifood_actors.plain_text import quoted

DOT_ENV = Path(".env")
CLIENT_SECRET = "client_secret"  # noqa: S105 - a name; used by `apps add`, and kept in no Settings
SECRETS = ("database_url", "broker_url", "encryption_keys", "alert_urls", CLIENT_SECRET)
UNQUOTED = (*SECRETS, "api_base_url")  # a URL may hold a password
NEVER_EMPTY = ("api_ca_file",)  # else one wanted authority would silently become hundreds
LONGEST_SECRET = 1024 * 1024  # characters of a file: /dev/zero has no end
# What a name promises and the program does not keep yet; refused, since silence would be a lie.
REFUSED = {
    "web_users": "there is no sign-in yet, so leave it out: `web` listens on loopback only, and a "
    "proxy with a sign-in goes before it",
}


@dataclass(frozen=True, slots=True)
class Given:
    value: str
    origin: SettingOrigin


def load(environ: Mapping[str, str] | None = None, env_file: Path | None = DOT_ENV) -> Settings:
    """
    Read all settings; the environment wins over `.env`, an empty variable counts as not given.

    Raises `UsageError` with one line per problem, all problems at once, and no secret in them.
    """
    given, problems = _collect(environ, env_file)
    given.pop(CLIENT_SECRET, None)
    problems += _refused_by_libpq(given)
    try:
        settings = Settings.model_validate({name: item.value for name, item in given.items()})
    except ValidationError as error:
        problems += _explained(error, given)
        raise UsageError("\n".join(problems)) from None  # the cause would print the values
    if problems:
        raise UsageError("\n".join(problems))

    settings._origins.update({name: item.origin for name, item in given.items()})  # noqa: SLF001 - set once, here
    return settings


def read_client_secret(
    path: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = DOT_ENV,
) -> SecretStr | None:
    """
    Find the secret of a new application: in the file, else in `IFOOD_CLIENT_SECRET` or its file.

    None when there is none. Raises `UsageError` when a file cannot be read or is empty.
    """
    if path is not None:
        return SecretStr(_read_secret(path, named="--client-secret-file"))
    given, problems = _collect(environ, env_file)
    if problems:
        raise UsageError("\n".join(problems))
    item = given.get(CLIENT_SECRET)
    return SecretStr(item.value) if item else None


def child_environment(settings: Settings) -> dict[str, str]:
    """
    Give the environment in which a child process loads exactly these settings.

    It holds secrets in clear, as any environment does: only for processes of the same user.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.upper().startswith(PREFIX)}
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return inherited | {
        variable(name): as_text(value) for name, value in given.items() if value is not None
    }


def sudo_user() -> str | None:
    """Give who is said to have called `sudo`: any user may set this variable."""
    return os.environ.get("SUDO_USER") or None


def stderr_is_journal() -> bool:
    """Tell whether it is systemd's journal, which names the one that it gave: systemd.exec(5)."""
    journal = os.environ.get("JOURNAL_STREAM")
    if not journal:
        return False
    opened = os.fstat(2)  # not `sys.stderr`, which Dramatiq replaces in its workers
    return journal == f"{opened.st_dev}:{opened.st_ino}"


def count_together(folder: str) -> None:
    """Tell prometheus_client where to count; it reads the environment when it is imported."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder


def _collect(
    environ: Mapping[str, str] | None, env_file: Path | None
) -> tuple[dict[str, Given], list[str]]:
    """Return what is given by field name, and a line for each variable that cannot be used."""
    environment = os.environ if environ is None else environ
    dotenv, problems = _read_dotenv(env_file)
    variables = {name: Given(value, ".env") for name, value in dotenv.items()}
    variables |= {name: Given(value, "environment") for name, value in environment.items()}
    never_empty = {variable(name) for name in NEVER_EMPTY}
    variables = {
        name: item
        for name, item in variables.items()
        if name.upper().startswith(PREFIX) and (item.value.strip() or name in never_empty)
    }

    refused = {variable(name): why for name, why in REFUSED.items()}
    refused |= {f"{name}_FILE": why for name, why in refused.items()}
    problems += [f"{name}: {refused[name]}" for name in variables.keys() & refused.keys()]

    fields = {variable(name): name for name in (*Settings.model_fields, CLIENT_SECRET)}
    files = {f"{variable(name)}_FILE": name for name in SECRETS}
    given = {fields[name]: item for name, item in variables.items() if name in fields}
    for name in variables.keys() & files.keys():
        try:
            given[files[name]] = _from_file(name, files[name], variables[name], given)
        except UsageError as error:
            problems.append(str(error))
    problems += [
        _unknown(name, item.origin, known=[*fields, *files])
        for name, item in variables.items()
        if name not in {*fields, *files, *refused}
    ]
    return given, sorted(problems)


def variable(name: str) -> str:
    return PREFIX + name.upper()


def as_text(value: object) -> str:
    """Write a value as it is typed in a variable; a secret in clear."""
    match value:
        case SecretStr():
            return value.get_secret_value()
        case bool():
            return str(value).lower()
        case timedelta():
            return format_duration(value)
        case _:
            return str(value)


def _from_file(name: str, field: str, item: Given, given: Mapping[str, Given]) -> Given:
    if field in given:
        raise UsageError(f"{name}: {variable(field)} is set too; give only one of them")
    return Given(_read_secret(Path(item.value.strip()), named=name), "file")


def _read_secret(path: Path, *, named: str) -> str:
    """Read a file; what is wrong is said without its name, which may be the secret itself."""
    try:
        with opened(path, named=named) as file:
            text = file.read(LONGEST_SECRET + 1)
    except UnicodeDecodeError:
        raise UsageError(f"{named}: the file is not text in UTF-8") from None
    except OSError as error:
        raise UsageError(f"{named}: cannot read such a file: {error.strerror}") from None
    except ValueError:  # NUL in a name
        raise UsageError(f"{named}: no file can have such a name") from None
    if len(text) > LONGEST_SECRET:
        raise UsageError(f"{named}: the file is longer than {LONGEST_SECRET} characters")
    if not text.strip():
        raise UsageError(f"{named}: the file is empty")
    return text.strip()


def _read_dotenv(path: Path | None) -> tuple[dict[str, str], list[str]]:
    """Values are taken as they stand: a `$` in a password is a `$`."""
    if path is None:
        return {}, []
    try:
        with opened(path, named="settings", encoding="utf-8-sig") as stream:
            bindings = list(parse_stream(stream))
    except FileNotFoundError:
        return {}, []
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not text in UTF-8") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None

    values = {binding.key: binding.value or "" for binding in bindings if binding.key}
    broken = [
        f"{path}: line {binding.original.line} is not NAME=value"
        for binding in bindings
        if binding.error
    ]
    return values, broken


def _unknown(name: str, origin: SettingOrigin, *, known: list[str]) -> str:
    near = get_close_matches(name.upper(), known, n=1, cutoff=0.0)
    return f"{name} ({origin}) is no known setting; the nearest is {near[0]}"


def _refused_by_libpq(given: dict[str, Given]) -> list[str]:
    """Say what is wrong with the URL of Postgres, and take it out; `Settings` sees less."""
    try:
        if url := given.get("database_url"):
            postgres_url.parameters(database_url(url.value))
    except ValueError as error:
        del given["database_url"]
        return [f"{variable('database_url')}: {error}"]
    return []


def _explained(error: ValidationError, given: Mapping[str, Given]) -> Iterator[str]:
    """Say what was expected, a line for each setting, and what was given unless it is a secret."""
    details = error.errors(include_url=False, include_input=False)
    for loc, fault in {each["loc"][:1]: each for each in details}.items():
        if not loc:  # of several settings together, which it names
            yield from str(fault["ctx"]["error"]).splitlines()
            continue
        name = str(loc[0])
        field = Settings.model_fields[name]
        expected = f"expected {' or '.join(_words(field.annotation, field.metadata))}"
        if fault["type"] == "value_error":  # one of our own checks has found its words
            expected = str(fault["ctx"]["error"])
        unquoted = name in UNQUOTED or name not in given
        found = "" if unquoted else f", not {quoted(given[name].value)}"
        yield f"{variable(name)}: {expected}{found}"


def _words(kind: object, marks: Sequence[object]) -> Iterator[str]:
    """Yield what a type takes, one text for each member of a union; `marks` hold its bounds."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        yield from _words(args[0], [*marks, *args[1:]])
    elif origin is Literal:
        yield from args
    elif args:
        for each in args:
            yield from _words(each, marks)
    elif kind is bool:
        yield "true or false"
    elif kind is int:
        yield "a whole number from {} to {}".format(*_bounds(marks))
    elif kind is timedelta:
        yield "a duration from {} to {}".format(*map(format_duration, _bounds(marks)))


def _bounds(marks: Sequence[object]) -> Iterator[Any]:
    inner = [each for mark in marks if isinstance(mark, FieldInfo) for each in mark.metadata]
    for name in ("ge", "le"):
        yield next(getattr(mark, name) for mark in [*marks, *inner] if hasattr(mark, name))
