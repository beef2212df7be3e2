"""
The logins of infra/postgres/roles.sql and infra/rabbitmq/definitions.json, as the tests use them.

In databases and virtual hosts whose name begins with `logins_` each of them may log in, and every
process and command that a test starts there does so as its own. What a test itself prepares and
looks at is the owner's.
"""

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool

from ifood_actors.db import connect
from ifood_actors.embedded.management import Management
from support.clock import eventually

INFRA = Path(__file__).parents[2] / "infra"
ROLES_SQL = INFRA / "postgres" / "roles.sql"
DEFINITIONS = json.loads((INFRA / "rabbitmq" / "definitions.json").read_text())
ROLES = ("migrator", "scheduler", "worker", "web", "operator", "admin", "reader")
GROUPS = {"operator": "operators", "admin": "admins"}  # what these are members of, as people are
PASSWORD = "a-password-of-the-tests"
PREFIX = "logins_"

# The first word of a command, and who it is for; all others are the admin's.
_READING = ("status", "errors", "report", "export", "rejected", "alerts", "capacity")
_WHO = {
    **{process: process for process in ("scheduler", "worker", "web")},
    **dict.fromkeys(_READING, "operator"),
    "db": "migrator",
}
_OF_THE_OWNER = re.compile(rf"(?P<scheme>\w+://)(?!ifood_)[^/@]*@(?P<place>[^/@]*/{PREFIX})")

Login = Callable[[str], str]


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def apply_roles(url: str) -> None:
    """Run roles.sql as a superuser, and let each role log in."""
    execute(url, ROLES_SQL.read_text())
    for role in ROLES:
        execute(url, f"ALTER ROLE ifood_{role} PASSWORD '{PASSWORD}'")


def logged_in(url: str, role: str) -> str:
    """Give the URL with which a role logs in; or the same URL where roles have none."""
    return _OF_THE_OWNER.sub(rf"\g<scheme>ifood_{role}:{PASSWORD}@\g<place>", url)


def with_logins(environment: dict[str, str], *arguments: str) -> dict[str, str]:
    """Give the environment in which a command works with its own logins."""
    role = _WHO.get(arguments[0] if arguments else "", "admin")
    changed = dict(environment)
    for name, known in (("IFOOD_DATABASE_URL", ROLES), ("IFOOD_BROKER_URL", _users())):
        if name in changed and role in known:
            changed[name] = logged_in(changed[name], role)
    return changed


def as_login(engine: Engine, role: str) -> Engine:
    """Give the engine of a process that works in the database of the fixture `engine`."""
    login: Callable[[str], Engine] | None = engine.get_execution_options().get("login")
    return login(role) if login else engine


def lend_logins(
    engine: Engine, database_url: str, *, schema: str | None = None
) -> Callable[[], None]:
    """Let `as_login` know how; gives what disposes of all its engines."""
    engines: dict[str, Engine] = {}

    def login(role: str) -> Engine:
        if role not in engines:
            url = logged_in(database_url, role)
            engines[role] = connect(
                url, application_name=f"tests {role}", pool_size=20, schema=schema
            )
        return engines[role]

    def dispose() -> None:
        for each in engines.values():
            _wait_for_threads(each)
            each.dispose()

    engine.update_execution_options(login=login)
    return dispose


def _wait_for_threads(engine: Engine) -> None:
    """Let those that are ending give back their connections, which would stay open otherwise."""
    pool = engine.pool
    with suppress(AssertionError):
        eventually(lambda: not isinstance(pool, QueuePool) or pool.checkedout() == 0, within=5)


def logins(database_url: str) -> Login:
    """Run roles.sql in a database that a superuser has migrated; gives the URL of each login."""
    apply_roles(database_url)
    user = re.compile(r"(?<=://)[^/@]*(?=@)")
    return lambda role: user.sub(f"ifood_{role}:{PASSWORD}", database_url)


def add_users(management: Management) -> None:
    """Let each user of definitions.json log in to RabbitMQ."""
    for user in DEFINITIONS["users"]:
        given = {"password": PASSWORD, "tags": user["tags"]}
        management.call("PUT", f"/api/users/{user['name']}", given)


def permit(management: Management, vhost: str) -> None:
    """Give each user in a virtual host what definitions.json gives it in that of the system."""
    for permission in DEFINITIONS["permissions"]:
        rights = {what: permission[what] for what in ("configure", "write", "read")}
        path = f"/api/permissions/{quote(vhost, safe='')}/{permission['user']}"
        management.call("PUT", path, rights)


def _users() -> set[str]:
    return {user["name"].removeprefix("ifood_") for user in DEFINITIONS["users"]}
