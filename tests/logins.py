"""The roles of infra/postgres/roles.sql in a database of a test, with passwords to log in with."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import make_url

ROLES = ("migrator", "scheduler", "worker", "web", "operator", "admin", "reader")
ROLES_SQL = Path(__file__).parents[1] / "infra" / "postgres" / "roles.sql"
Login = Callable[[str], str]


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def apply_roles(url: str) -> None:
    execute(url, ROLES_SQL.read_text())


@contextmanager
def logins(database_url: str) -> Iterator[Login]:
    """Lend the URL with which a role logs in to a database that a superuser has migrated."""
    apply_roles(database_url)
    password = secrets.token_hex(8)
    for role in ROLES:
        execute(database_url, f"ALTER ROLE ifood_{role} PASSWORD '{password}'")

    def login(role: str) -> str:
        url = make_url(database_url).set(username=f"ifood_{role}", password=password)
        return url.render_as_string(hide_password=False)

    yield login
    names = ", ".join(f"ifood_{role}" for role in ROLES)
    execute(database_url, f"DROP OWNED BY {names} CASCADE")
    execute(database_url, f"DROP ROLE {names}")
