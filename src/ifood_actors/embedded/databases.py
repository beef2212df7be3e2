"""Databases that last for a `with` block: empty ones, and ledgers copied from a template."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import make_url

from ifood_actors import migrations


@contextmanager
def database(
    server_url: str, *, template: str = "template1", prefix: str = "test_"
) -> Iterator[str]:
    """
    Create a database under a random name, give its URL, and drop it at the end.

    Connections that are left are ended. It is a copy of the database `template`, which must have no
    connection at that moment. The user of `server_url` must be allowed to create databases.
    """
    name = f"{prefix}{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@contextmanager
def ledger_template(server_url: str) -> Iterator[str]:
    """
    Create a database with the tables of the newest migration, and give its name.

    `database(server_url, template=name)` copies it in a tenth of a second, where migrating one
    takes seconds.
    """
    with database(server_url, prefix="template_") as url:
        migrations.upgrade(url)
        yield str(make_url(url).database)
