"""
The URL of Postgres, read by libpq: what `psql` takes is a URL here.

That includes several hosts, the folder of a socket as a host, services and files of passwords.
"""

import re
from collections.abc import Mapping

_EXPECTED = "expected a URL such as postgresql://user:password@host:5432/database"
_PASSWORD = "special characters in a password must be written as %XX"  # noqa: S105 - advice
_OPTIONS = "after ? stand libpq's parameters only, such as sslmode=verify-full"


def parameters(url: str) -> dict[str, str]:
    """Give libpq's parameters by name, decoded. Raises ValueError without any part of the URL."""
    from psycopg import ProgrammingError  # noqa: PLC0415 - a tenth of a second, only for those who have one
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - the same
    from psycopg.pq import Conninfo  # noqa: PLC0415 - the same

    hint = f"{_EXPECTED}; {_PASSWORD}"
    # As libpq does: what stands before the first @ is user and password, unless a / comes first.
    rest = url.partition("://")[2]
    credentials = rest[: rest.find("@") + 1] if "/" not in rest.partition("@")[0] else ""
    user, colon, _ = credentials.partition(":")
    named, _, query = rest.removeprefix(credentials).partition("?")
    # Of a password with such characters libpq would take a piece for a user, a host or a value.
    in_pieces = "@" in named or "?" in user or (colon and "@" in query)
    if in_pieces or re.search(r"[\s\0]", url):
        raise ValueError(hint)
    given = [each.partition("=")[0] for each in query.split("&")]
    if len(given) > len(set(given)):  # libpq would take the last one, and forget a host
        raise ValueError("expected each parameter once, several hosts as host=a,b&port=5432,5433")
    try:
        read = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except ProgrammingError:
        known = {each.keyword.decode() for each in Conninfo.get_defaults()}
        raise ValueError(hint if known.issuperset(given) else f"{hint}; {_OPTIONS}") from None
    if not re.fullmatch(r"[0-9,]*", read.get("port", "")):
        raise ValueError(hint)
    return read


def hidden_parameters() -> frozenset[str]:
    """Name those that libpq itself would not show, such as `password`, and those that are one."""
    from psycopg.pq import Conninfo  # noqa: PLC0415 - as above

    hidden = {each.keyword.decode() for each in Conninfo.get_defaults() if b"*" in each.dispchar}
    # libpq counts these as options for debugging; with the first one can log in.
    return frozenset({"scram_client_key", "scram_server_key", *hidden})


def address(given: Mapping[str, str]) -> str:
    """Name hosts, ports and database of libpq's parameters, never the user or the password."""
    from psycopg.pq import Conninfo  # noqa: PLC0415 - as above

    # libpq also looks into the environment.
    usual = {each.keyword.decode(): (each.val or b"").decode() for each in Conninfo.get_defaults()}
    known = {**usual, **given}
    hosts = known["host"] or known["hostaddr"]
    if not hosts and known["service"]:
        return f"the service {known['service']}/{known['dbname']}"
    names = hosts.split(",") if hosts else ["local socket"]
    ports = known["port"].split(",")
    ports *= len(names) if len(ports) == 1 else 1
    places = [
        f"{f'[{name}]' if name.count(':') > 1 else name}:{port or 5432}"
        for name, port in zip(names, ports, strict=False)
    ]
    return f"{','.join(places)}/{known['dbname']}"
