"""What `doctor` asks Postgres itself: its version, its session, its certificate, its clock."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import Connection, text

from ifood_actors import postgres_url
from ifood_actors.checks import is_loopback
from ifood_actors.cli.output import duration
from ifood_actors.cli.work.doctor_settings import DoctorVerdict, Finding
from ifood_actors.db import address
from ifood_actors.session import PATIENCE, STYLE, TimedConnection

_OLDEST_POSTGRES = 140_000  # server_version_num of 14
# The ledger has one clock, Postgres's; this machine's decides only when a window opens.
_SKEW_TO_KNOW = timedelta(seconds=2)
_SKEW_TO_MEND = timedelta(seconds=60)


def findings(
    connection: Connection, url: str, *, private: Collection[str] = ()
) -> Iterator[Finding]:
    """Check the server and the session behind `connection`, which `url` led to."""
    yield _server(connection)
    yield _session(connection)
    yield from _makers(connection)
    yield from _in_clear(postgres_url.parameters(url), private=private)
    yield _clocks(connection)


def _server(connection: Connection) -> Finding:
    detail = f"version {_shown(connection, 'server_version')} at {address(connection.engine)}"
    if int(_shown(connection, "server_version_num")) < _OLDEST_POSTGRES:
        return Finding("postgres", "failed", detail, "upgrade it to version 14 or newer")
    if _shown(connection, "transaction_read_only") == "on":
        advice = "name the one that writes, or all with target_session_attrs=read-write"
        return Finding("postgres", "failed", f"{detail}, which only reads", advice)
    return Finding("postgres", "ok", detail)


def _session(connection: Connection) -> Finding:
    """Check that what was pinned has held: a pooler between may have lost it."""
    found = {name: _shown(connection, name) for name in STYLE}
    lost = {name: value for name, value in found.items() if value != STYLE[name]}
    if lost:
        detail = ", ".join(f"{name} is {value}" for name, value in lost.items())
        advice = "connect to Postgres itself, or by a pooler that lends whole sessions"
        return Finding("session", "failed", f"{detail}, whatever was asked for", advice)
    schema = connection.execute(text("SELECT current_schema()")).scalar_one()
    limits = ", ".join(f"{name} {_shown(connection, name)}" for name in PATIENCE)
    pooled = ", through a pooler that lends whole sessions" if _pooled(connection) else ""
    return Finding("session", "ok", f"schema {schema}, UTF8, {limits}{pooled}")


def _makers(connection: Connection) -> Iterator[Finding]:
    """Warn where any login may make a function, which triggers would run with more rights."""
    asked = (
        "quote_ident(current_schema()), has_schema_privilege('public', current_schema(), 'CREATE')"
    )
    schema, open_to_all = connection.execute(text(f"SELECT {asked}")).one()
    if open_to_all:
        advice = f"run infra/postgres/roles.sql, or REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC"
        yield Finding("schema", "warning", f"every login may make things in {schema}", advice)


def _pooled(connection: Connection) -> bool:
    told = cast("TimedConnection", connection.connection.driver_connection).info.backend_pid
    return bool(connection.execute(text("SELECT pg_backend_pid()")).scalar_one() != told)


def _shown(connection: Connection, name: str) -> str:
    value: str = connection.execute(
        text("SELECT current_setting(:name)"), {"name": name}
    ).scalar_one()
    return value


def far(hosts: Iterable[str], private: Collection[str]) -> list[str]:
    """Give those of the hosts to which others may listen on the way."""
    return [host for host in hosts if not is_loopback(host) and host not in private]


def _in_clear(given: Mapping[str, str], *, private: Collection[str] = ()) -> Iterator[Finding]:
    """Without these modes libpq takes any certificate, and by default also none."""
    hosts = (given.get("hostaddr") or given.get("host", "")).split(",")
    away = far([host for host in hosts if host and not host.startswith("/")], private)
    if not away or given.get("sslmode") in {"verify-ca", "verify-full"}:
        return
    detail = f"{', '.join(away)}: no proof that it is the right Postgres, perhaps in clear"
    advice = "add ?sslmode=verify-full&sslrootcert=FILE to IFOOD_DATABASE_URL"
    yield Finding("postgres tls", "warning", detail, advice)


def _clocks(connection: Connection) -> Finding:
    before = datetime.now(UTC)
    theirs: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    ours = before + (datetime.now(UTC) - before) / 2
    skew = abs(theirs - ours)
    detail = f"this machine and Postgres differ by {duration(skew)}"
    if skew <= _SKEW_TO_KNOW:
        return Finding("clock", "ok", detail)
    verdict: DoctorVerdict = "failed" if skew > _SKEW_TO_MEND else "warning"
    return Finding("clock", verdict, detail, "synchronise both by NTP")
