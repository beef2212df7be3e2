"""Every URL that libpq reads is one for the program, and says where it leads."""

import pytest

from ifood_actors import postgres_url
from ifood_actors.config.loading import load
from ifood_actors.errors import UsageError

SOCKET = "%2Fvar%2Frun%2Fpostgresql"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("postgresql://u:p@db/ledger", "db:5432/ledger"),
        ("postgresql://u:p@db:5433/ledger", "db:5433/ledger"),
        ("postgresql://u:p@[2001:db8::7]:5433/ledger", "[2001:db8::7]:5433/ledger"),
        (f"postgresql://u@{SOCKET}/ledger", "/var/run/postgresql:5432/ledger"),
        (f"postgresql://u@{SOCKET}:5433/ledger", "/var/run/postgresql:5433/ledger"),
        ("postgresql:///ledger?host=/run/postgresql", "/run/postgresql:5432/ledger"),
        ("postgresql:///ledger?host=a,b&port=5433", "a:5433,b:5433/ledger"),
        ("postgresql:///ledger?hostaddr=192.0.2.7", "192.0.2.7:5432/ledger"),
        (
            "postgresql://u:p@a:5432,b:5433/ledger?target_session_attrs=read-write",
            "a:5432,b:5433/ledger",
        ),
        ("postgresql://u:p@a,b:5433/ledger", "a:5432,b:5433/ledger"),
        ("postgresql:///ledger", "local socket:5432/ledger"),
        ("postgresql:///?service=ledger", "the service ledger/"),
        ("postgresql:///ledger?passfile=/etc/pgpass", "local socket:5432/ledger"),
        ("postgresql://u:a#b[c]?d@db/ledger", "db:5432/ledger"),
    ],
)
def test_a_url_of_libpq_is_taken_and_its_address_is_no_secret(url, address, monkeypatch):
    for name in ("PGHOST", "PGPORT", "PGDATABASE", "PGSERVICE", "PGHOSTADDR"):
        monkeypatch.delenv(name, raising=False)

    settings = load({"IFOOD_DATABASE_URL": url}, None)

    assert settings.require_database_url() == url
    assert postgres_url.address(postgres_url.parameters(url)) == address


def test_the_environment_of_libpq_is_part_of_an_address(monkeypatch):
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGPORT", "5433")

    given = postgres_url.parameters("postgresql:///ledger")

    assert postgres_url.address(given) == "db.example:5433/ledger"


@pytest.mark.parametrize("name", ["app", "Grupo São João", 'a"b', "$user"])
def test_any_name_is_a_schema(name):
    assert load({"IFOOD_DATABASE_SCHEMA": name}, None).database_schema == name


@pytest.mark.parametrize("name", ["pg_temp", "information_schema", "reporting", "x" * 64])
def test_a_schema_that_cannot_hold_the_tables_is_refused(name):
    with pytest.raises(UsageError, match="IFOOD_DATABASE_SCHEMA: expected the name of a schema"):
        load({"IFOOD_DATABASE_SCHEMA": name}, None)
