"""A migrated database on a server that is there to be broken."""

import secrets

import psycopg
from sqlalchemy import make_url
from support.logins import apply_roles

from ifood_actors import migrations
from ifood_actors.embedded.postgres import PrivatePostgres


def database(server: PrivatePostgres, name: str) -> tuple[str, str]:
    """
    Make one, with an owner and all logins; give the owner's URL, and that of the superuser.

    Nobody but the last is one: to superusers the server grants connections beyond all limits.
    """
    password = secrets.token_hex(16)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'".encode())
        connection.execute(f'CREATE DATABASE "{name}" OWNER "{name}"'.encode())
    admin = make_url(server.url).set(database=name)
    own = admin.set(username=name, password=password)
    migrations.upgrade(own.render_as_string(hide_password=False))
    apply_roles(admin.render_as_string(hide_password=False))
    with psycopg.connect(server.url, autocommit=True) as connection:
        # Who has migrated owns the tables no more, but for this.
        connection.execute(f'GRANT ifood_migrator TO "{name}"'.encode())
    return own.render_as_string(hide_password=False), admin.render_as_string(hide_password=False)
