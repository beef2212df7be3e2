import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from ifood_actors.cli.work.config_page import describe, markdown
from ifood_actors.config import Settings
from ifood_actors.config.loading import load, read_client_secret
from ifood_actors.errors import UsageError
from ifood_actors.masking import secret_texts

SECRET = "hunter2"
DATABASE = f"postgresql://app:{SECRET}@db:5432/ifood"
BROKER = f"amqps://app:{SECRET}@one/v;amqps://app:{SECRET}@two/v"


def problems(environ: dict[str, str], env_file: Path | None = None) -> list[str]:
    with pytest.raises(UsageError) as caught:
        load(environ, env_file)
    return str(caught.value).splitlines()


def origins(settings: Settings) -> dict[str, str]:
    return {row.name: row.origin for row in describe(settings)}


def test_without_variables_the_defaults_of_the_contract_hold():
    settings = load({}, None)

    assert settings.database_url is None
    assert settings.broker_url is None
    assert settings.api_base_url == "https://merchant-api.ifood.com.br"
    assert settings.timezone.key == "America/Sao_Paulo"
    assert str(settings.window_of("settlements_weekly")) == "mon 08:00-12:00"
    assert str(settings.window_of("anticipations_daily")) == "daily 06:00-08:00"
    assert str(settings.window_of("sales")) == "daily 03:00-06:00"
    assert (settings.sales_days, settings.sales_deep_days) == (7, 35)
    assert settings.sales_deep_weekday == "sun"
    assert (settings.batch_size, settings.window_overflow) == ("auto", "refuse")
    assert (settings.worker_max_concurrency, settings.worker_processes) == (20, 2)
    assert settings.worker_threads == 10
    assert settings.poll_interval == timedelta(seconds=10)
    assert settings.worker_max_attempts == 3
    assert settings.backoff_base == timedelta(minutes=5)
    assert settings.backoff_cap == timedelta(minutes=60)
    assert (settings.rate_limit_per_minute, settings.rate_limit_oauth_per_minute) == (180, 15)
    assert settings.dispatch_horizon == timedelta(hours=4)
    assert settings.lease == timedelta(seconds=60)


def test_the_environment_wins_over_dotenv_and_an_empty_variable_counts_as_not_given(tmp_path):
    dotenv = tmp_path / ".env"
    dotenv.write_text("IFOOD_LEASE=2m\nIFOOD_SALES_DAYS=3\nIFOOD_LOG_LEVEL=\nOTHER=1\n")

    settings = load({"IFOOD_SALES_DAYS": "4", "IFOOD_BATCH_SIZE": " "}, dotenv)

    assert (settings.sales_days, settings.lease) == (4, timedelta(minutes=2))
    assert (settings.batch_size, settings.log_level) == ("auto", "info")
    assert origins(settings)["IFOOD_SALES_DAYS"] == "environment"
    assert origins(settings)["IFOOD_LEASE"] == ".env"
    assert origins(settings)["IFOOD_BATCH_SIZE"] == "default"


def test_a_dollar_in_a_dotenv_password_stays_a_dollar(tmp_path):
    dotenv = tmp_path / ".env"
    dotenv.write_text("IFOOD_DATABASE_URL=postgresql://u:a${HOME}b$c@h/d\n")

    assert load({}, dotenv).require_database_url() == "postgresql://u:a${HOME}b$c@h/d"


def test_a_dotenv_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")

    assert problems({}, tmp_path) == [f"cannot read {tmp_path}: Is a directory"]
    assert problems({}, tmp_path / "bytes") == [f"{tmp_path / 'bytes'} is not text in UTF-8"]


def test_a_missing_dotenv_is_fine_and_a_broken_line_is_named(tmp_path):
    dotenv = tmp_path / ".env"
    dotenv.write_text("IFOOD_LEASE=60s\n=hunter2\n")

    assert load({}, tmp_path / "none").lease == timedelta(seconds=60)
    assert problems({}, dotenv) == [f"{dotenv}: line 2 is not NAME=value"]


def test_the_process_environment_is_read_when_none_is_given(monkeypatch):
    monkeypatch.setattr(os, "environ", {"IFOOD_SALES_DAYS": "5"})

    assert load(env_file=None).sales_days == 5


def test_a_setting_built_in_code_hides_a_refused_secret_too():
    with pytest.raises(ValueError, match="postgresql://") as caught:
        Settings(database_url=f"mysql://app:{SECRET}@db")

    assert SECRET not in f"{caught.value} {caught.value!r}"


def test_all_problems_are_reported_at_once():
    lines = problems(
        {"IFOOD_LEASE": "x", "IFOOD_SALE_DAYS": "1", "IFOOD_BROKER_URL_FILE": "/does/not/exist"}
    )

    assert [line.split(maxsplit=1)[0].rstrip(":") for line in lines] == [
        "IFOOD_BROKER_URL_FILE",
        "IFOOD_SALE_DAYS",
        "IFOOD_LEASE",
    ]


@pytest.mark.parametrize(
    ("unknown", "nearest"),
    [
        ("IFOOD_SALE_WINDOW", "IFOOD_SALES_WINDOW"),
        ("ifood_batch_size", "IFOOD_BATCH_SIZE"),
        ("IFOOD_DATABASE_URL_FIEL", "IFOOD_DATABASE_URL_FILE"),
        ("IFOOD_LEASE_FILE", "IFOOD_LEASE"),
    ],
)
def test_an_unknown_variable_is_refused_and_the_nearest_known_one_named(unknown, nearest):
    (line,) = problems({unknown: SECRET})

    assert line == f"{unknown} (environment) is no known setting; the nearest is {nearest}"


def test_settings_that_contradict_each_other_are_refused_together():
    lines = problems(
        {
            "IFOOD_API_BASE_URL": "https://proxy.example",
            "IFOOD_BACKOFF_BASE": "2h",
            "IFOOD_WORKER_PROCESSES": "30",
            "IFOOD_ANTICIPATIONS_IDLE_DAYS": "31",
        }
    )

    assert len(lines) == 4
    assert "IFOOD_API_ALLOW_HOST=proxy.example" in lines[0]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.8.8.8"])
def test_plain_http_goes_to_an_allowed_loopback_host(host):
    settings = load(
        {"IFOOD_API_BASE_URL": f"http://{host}:8099/", "IFOOD_API_ALLOW_HOST": host}, None
    )

    assert settings.api_base_url == f"http://{host}:8099"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_database_url_gets_the_scheme_that_sqlalchemy_and_libpq_share(scheme):
    settings = load({"IFOOD_DATABASE_URL": f"{scheme}://app:{SECRET}@db/ifood"}, None)

    assert settings.require_database_url() == f"postgresql://app:{SECRET}@db/ifood"


def test_secrets_come_from_files_too_stripped(tmp_path):
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    (tmp_path / "keys").write_text(f" {keys[0]}, {keys[1]}\n")

    settings = load({"IFOOD_ENCRYPTION_KEYS_FILE": str(tmp_path / "keys")}, None)

    assert settings.require_encryption_keys() == tuple(keys)
    assert origins(settings)["IFOOD_ENCRYPTION_KEYS"] == "file"


def test_a_secret_given_twice_or_in_an_unusable_file_is_refused(tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")

    (twice,) = problems({"IFOOD_DATABASE_URL": DATABASE, "IFOOD_DATABASE_URL_FILE": "/x"})
    (empty,) = problems({"IFOOD_DATABASE_URL_FILE": str(tmp_path / "empty")})
    (binary,) = problems({"IFOOD_DATABASE_URL_FILE": str(tmp_path / "bytes")})
    (folder,) = problems({"IFOOD_DATABASE_URL_FILE": str(tmp_path)})

    assert "give only one of them" in twice
    assert "is empty" in empty
    assert "UTF-8" in binary
    assert "cannot read" in folder


def test_what_a_command_needs_and_lacks_is_one_clear_line():
    settings = Settings()

    for require, name in [
        (settings.require_database_url, "IFOOD_DATABASE_URL is not set: "),
        (settings.require_broker_url, "IFOOD_BROKER_URL is not set: "),
        (settings.require_encryption_keys, "IFOOD_ENCRYPTION_KEYS is not set: "),
    ]:
        with pytest.raises(UsageError, match=name):
            require()


def test_no_view_of_the_settings_shows_a_secret():
    key = Fernet.generate_key().decode()
    settings = load(
        {
            "IFOOD_DATABASE_URL": DATABASE,
            "IFOOD_BROKER_URL": BROKER,
            "IFOOD_ENCRYPTION_KEYS": key,
        },
        None,
    )

    shown = f"{settings!r} {settings} {describe(settings)} {settings.model_dump_json()}"

    assert SECRET not in shown
    assert key not in shown
    assert "postgresql://app:***@db:5432/ifood" in shown
    assert "amqps://app:***@one/v;amqps://app:***@two/v" in shown


def test_a_setting_given_by_code_says_so():
    assert origins(Settings(sales_days=3))["IFOOD_SALES_DAYS"] == "code"


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Settings().sales_days = 3  # type: ignore[misc] # the point of the test


def test_a_client_secret_comes_from_a_file_or_the_environment_or_nowhere(tmp_path):
    file = tmp_path / "secret"
    file.write_text("from-file\n")
    given = {"IFOOD_CLIENT_SECRET": "from-environment"}

    def reveal(path: Path | None = None, environ: dict[str, str] | None = None) -> str | None:
        secret = read_client_secret(path, environ=environ or {}, env_file=None)
        return secret.get_secret_value() if secret else None

    assert reveal(file, given) == "from-file"
    assert reveal(None, given) == "from-environment"
    assert reveal(None, {"IFOOD_CLIENT_SECRET_FILE": str(file)}) == "from-file"
    assert reveal() is None
    with pytest.raises(UsageError, match="--client-secret-file: cannot read"):
        reveal(tmp_path / "none")
    with pytest.raises(UsageError, match="give only one of them"):
        reveal(None, given | {"IFOOD_CLIENT_SECRET_FILE": str(file)})


def test_a_client_secret_is_known_but_kept_in_no_settings():
    settings = load({"IFOOD_CLIENT_SECRET": SECRET}, None)

    assert SECRET not in repr(settings.__dict__)


def test_the_documentation_has_one_row_for_each_variable():
    rows = [line for line in markdown().splitlines() if line.startswith("| `")]

    assert len(rows) == len(Settings.model_fields) + 1
    assert all(len(row.split(" | ")) == 3 and not row.endswith("|  |") for row in rows)


def test_reading_settings_loads_no_service_library():
    heavy = ("sqlalchemy", "dramatiq", "pika", "httpx", "psycopg", "cryptography")
    code = f"import sys, ifood_actors.config; print([m for m in {heavy} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://h/d", "postgresql://h/d"),
        ("postgres://u@h:5433/d", "postgresql://u@h:5433/d"),
        ("postgresql://u:p;q@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:p?q@h/d", "postgresql://u:***@h/d"),
        ("postgresql://:p@h/d", "postgresql://:***@h/d"),
        ("postgresql://u@h/d?password=p", "postgresql://u:***@h/d"),
        (
            "postgresql://u@a:1,b:2/d?sslmode=verify-full&sslrootcert=/etc/ca.pem&sslpassword=p",
            "postgresql://u@a:1,b:2/d?sslmode=verify-full&sslpassword=***&sslrootcert=/etc/ca.pem",
        ),
        ("postgresql://h/d?scram_client_key=p", "postgresql://h/d?scram_client_key=***"),
        ("postgresql://u@[::1]:5433/d", "postgresql://u@[::1]:5433/d"),
        ("postgresql://u@%2Frun%2Fpostgresql/d", "postgresql://u@%2Frun%2Fpostgresql/d"),
        ("postgresql:///?service=ifood", "postgresql:///?service=ifood"),
        ("amqp://u:p@h/v", "amqp://u:***@h/v"),
        ("amqps://u:p@a/v;amqps://:p@b:1/v", "amqps://u:***@a/v;amqps://:***@b:1/v"),
        ("amqp://h/v?heartbeat=5&password=p&p", "amqp://h/v?heartbeat=5&***&***"),
        ("amqps://h/?cacertfile=/etc/ca.pem", "amqps://h/?cacertfile=/etc/ca.pem"),
    ],
)
def test_of_a_url_all_is_shown_that_is_no_secret(url, shown):
    name = "IFOOD_BROKER_URL" if url.startswith("amqp") else "IFOOD_DATABASE_URL"

    rows = {row.name: row.value for row in describe(load({name: url}, None))}

    assert rows[name] == shown


def test_a_secret_is_known_in_the_spellings_that_a_library_may_log():
    settings = load(
        {
            "IFOOD_DATABASE_URL": "postgresql://u:pass%2Fw%C3%B6rd@db.example/d",
            "IFOOD_BROKER_URL": "amqp://u:b%20c%20d%20e@mq.example/v;amqp://u:second@mq2/v",
            "IFOOD_ALERT_URLS": "slack://TAAAAA111/B22222222/secretToken3 json://u:hookword@h.io/ab",
        },
        None,
    )

    texts = secret_texts(settings)

    assert {"pass/wörd", "pass%2Fw%C3%B6rd", "b c d e", "b%20c%20d%20e", "second"} <= texts
    assert {"TAAAAA111", "B22222222", "hookword"} <= texts
    assert not texts & {"db.example", "mq.example", "mq2", "h.io", "u", "d", "v", "slack", "json"}
