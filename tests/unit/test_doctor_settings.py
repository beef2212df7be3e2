"""`doctor --offline`: what it says of settings, and that it asks nobody."""

import socket

import pytest
from cryptography.fernet import Fernet
from typer import Exit

from ifood_actors.cli.doctor import doctor

USABLE = {
    "IFOOD_DATABASE_URL": "postgresql://me:hunter2@nowhere.example/ledger",
    "IFOOD_BROKER_URL": "amqp://me:hunter2@nowhere.example/",
    "IFOOD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "IFOOD_ALERT_URLS": "json://hooks.example/ifood",
}


@pytest.fixture
def told(monkeypatch, tmp_path, capsys):
    def told(**changed):
        monkeypatch.chdir(tmp_path)  # where there is no .env
        monkeypatch.setattr(socket, "getaddrinfo", None)
        for name, value in {**USABLE, **changed}.items():
            monkeypatch.setenv(name, value)
        try:
            doctor(offline=True)
        except Exit as end:
            code = end.exit_code
        else:
            code = 0
        return code, capsys.readouterr().out

    return told


def test_usable_settings_are_ok_whether_their_services_are_there_or_not(told):
    code, said = told()

    assert code == 0
    assert said.count(" ok ") == 2


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("IFOOD_ALERT_URLS", "nosuch://x", "IFOOD_ALERT_URLS: Apprise does not know what number 1"),
        ("IFOOD_ALERT_URLS", "json://a,nosuch://x", "does not know what number 2"),
        ("IFOOD_DATABASE_URL", "", "IFOOD_DATABASE_URL is not set"),
        ("IFOOD_BROKER_URL", "", "IFOOD_BROKER_URL is not set"),
        ("IFOOD_ENCRYPTION_KEYS", "", "IFOOD_ENCRYPTION_KEYS is not set"),
        ("IFOOD_ENCRYPTION_KEYS", "short", "IFOOD_ENCRYPTION_KEYS: expected Fernet keys"),
        ("IFOOD_SALES_DAYS", "many", "IFOOD_SALES_DAYS"),
    ],
)
def test_whatever_would_end_a_process_at_its_start_ends_it_with_2(told, name, value, said):
    code, out = told(**{name: value})

    assert code == 2
    assert said in out
    assert "hunter2" not in out
