"""
The URL of Postgres, read by libpq: whatever `psql` takes is a URL here.

That includes several hosts, the folder of a socket as a host, services and files of passwords.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_LONGEST_NAME = 63  # bytes; Postgres would cut off the rest
_EXPECTED = "expected a URL such as postgresql://user:password@host:5432/database"
_PASSWORD = "special characters in a password must be written as %XX"  # noqa: S105 - advice
_OPTIONS = "after ? stand libpq's parameters only, such as sslmode=verify-full"


def database_url(text: str) -> str:
    """
    Check the URL, and give it the scheme that libpq reads.

    Raises ValueError with what was expected; libpq's own words would quote the password.
    """
    scheme, _, rest = text.strip().partition("://")
    if scheme not in _SCHEMES:
        raise ValueError("expected a URL that starts with postgresql://")
    url = f"postgresql://{rest}"
    parameters(url)
    return url


def parameters(url: str) -> dict[str, str]:
    """Give libpq's parameters by name, decoded. Raises ValueError without any part of the URL."""
    from psycopg import ProgrammingError  # noqa: PLC0415 - a tenth of a second, for whoever has one
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415 - the same

    hint = f"{_EXPECTED}; {_PASSWORD}"
    # What libpq would take for a part of the host, of the port or of the database.
    named, _, query = url.partition("://")[2].partition("?")
    if re.search(r"[\s\0]", url) or named.count("@") > 1 or "@" in named.partition("/")[2]:
        raise ValueError(hint)
    given = [each.partition("=")[0] for each in query.split("&")]
    if len(given) > len(set(given)):  # libpq would take the last one, and forget a host
        raise ValueError("expected each parameter once, several hosts as host=a,b&port=5432,5433")
    try:
        read = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except ProgrammingError as error:
        raise ValueError(f"{hint}; {_OPTIONS}" if "query" in str(error) else hint) from None
    if not re.fullmatch(r"[0-9,]*", read.get("port", "")):
        raise ValueError(hint)
    return read


def hidden_parameters() -> frozenset[str]:
    """Name those that libpq itself would not show, such as `password`, and those that are one."""
    from psycopg.pq import Conninfo  # noqa: PLC0415 - as above

    hidden = {each.keyword.decode() for each in Conninfo.get_defaults() if b"*" in each.dispchar}
    # libpq counts these as options for debugging; whoever has the first may log in with it.
    return frozenset({"scram_client_key", "scram_server_key", *hidden})


def schema(value: object) -> str:
    """Accept the name of a schema, as it is: neither quoted nor folded to small letters."""
    name = str(value).strip()
    theirs = name.startswith("pg_") or name in ("information_schema", "reporting")
    if not name or "\0" in name or len(name.encode()) > _LONGEST_NAME or theirs:
        raise ValueError(
            "expected the name of a schema for the tables, as it is, without quotes; "
            "reporting and those of Postgres are taken"
        )
    return name


def address(given: "Mapping[str, str]") -> str:
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
