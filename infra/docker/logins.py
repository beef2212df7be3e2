"""
Gives each process of compose.yaml a login of its own, and the rights of its role.

In the containers `logins`, before `db upgrade`, and `grants`, after it: they alone know Postgres's
superuser and RabbitMQ's administrator. With `--new` each login gets another password, which its
process has after its next start.
"""

import base64
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from ifood_actors.embedded.management import Management

INFRA = Path(__file__).parents[1]
# A volume for each role, which its own containers have, and no other one.
LOGINS = Path("/run/logins")
URLS = {
    "database": "postgresql://{}@postgres:5432",  # the database is PGDATABASE
    "broker": "amqp://{}@rabbitmq:5672/ifood",
}
USED_BY = {
    "database": ("migrator", "scheduler", "worker", "web", "admin"),
    "broker": ("scheduler", "worker", "web", "admin"),
}


def give_logins(
    superuser: str,
    management: Management,
    *,
    folder: Path,
    urls: Mapping[str, str] = URLS,
    new: bool = False,
) -> None:
    """Write the URLs that are missing, or all if `new`, and have both servers know them."""
    passwords = {
        service: {role: _password(folder / role, service, urls[service], new=new) for role in roles}
        for service, roles in USED_BY.items()
    }
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute((INFRA / "postgres/roles.sql").read_bytes())
        for role, password in passwords["database"].items():
            # Encrypted on this side: a server may log its statements.
            sealed = connection.pgconn.encrypt_password(
                password.encode(), f"ifood_{role}".encode(), b"scram-sha-256"
            )
            connection.execute(b"ALTER ROLE ifood_%b PASSWORD '%b'" % (role.encode(), sealed))
    management.call("POST", "/api/definitions", _definitions(management, passwords["broker"]))


def _password(folder: Path, service: str, url: str, *, new: bool) -> str:
    """Give the password that is written in a role's folder; write one if there is none."""
    path = folder / f"{service}_url"
    if path.exists() and not new:
        return str(urlsplit(path.read_text()).password)
    password = secrets.token_hex(24)
    unfinished = path.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    unfinished.touch(mode=0o600)
    unfinished.write_text(url.format(f"ifood_{folder.name}:{password}"))
    unfinished.replace(path)
    return password


def _definitions(management: Management, passwords: Mapping[str, str]) -> object:
    """Give the users and their rights, without those that people have made their own."""
    definitions = json.loads((INFRA / "rabbitmq/definitions.json").read_text())
    given = {f"ifood_{role}": password for role, password in passwords.items()}
    there = json.loads(management.call("GET", "/api/users"))
    # In RabbitMQ, a user that is imported without a password has none from then on.
    kept = {user["name"] for user in there} - given.keys()
    users = [user for user in definitions["users"] if user["name"] not in kept]
    for user in users:
        if user["name"] in given:
            user["password_hash"] = _hash(given[user["name"]])
    return definitions | {"users": users}


def _hash(password: str) -> str:
    """Hash a password as RabbitMQ stores it: SHA-256 of a salt and the password, after the salt."""
    salt = secrets.token_bytes(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


if __name__ == "__main__":
    rabbitmq = Management(
        15672, host="rabbitmq", user="ifood", password=os.environ["RABBITMQ_PASSWORD"]
    )
    # The superuser is that of PGHOST, PGUSER and PGPASSWORD.
    give_logins("", rabbitmq, folder=LOGINS, new=sys.argv[1:] == ["--new"])
