from datetime import time, timedelta

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.cli.work.config_page import describe
from ifood_actors.config.loading import load
from ifood_actors.errors import UsageError
from ifood_actors.notation import format_duration, parse_duration
from ifood_actors.spans import Window

SECRET = "hunter2"


def problem(name: str, value: str) -> str:
    with pytest.raises(UsageError) as caught:
        load({f"IFOOD_{name}": value}, None)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("BATCH_SIZE", "0", "auto or a whole number"),
        ("BATCH_SIZE", "many", "auto or a whole number"),
        ("WINDOW_OVERFLOW", "stretch", "refuse or extend"),
        ("LEASE", "60", "a duration"),
        ("LEASE", "-5s", "a duration"),
        ("LEASE", "0", "from 1s to 1h"),
        ("DISPATCH_HORIZON", "4h34m", "from 0 to 4h33m"),
        ("TIMEZONE", "America", "a time zone"),
        ("TIMEZONE", "../../etc/passwd", "a time zone"),
        ("TIMEZONE", "Mars/Olympus", "a time zone"),
        ("SALES_DEEP_DAYS", "91", "from 0 to 90"),
        ("SALES_DEEP_WEEKDAY", "sunday", "mon or tue or wed or thu or fri or sat or sun"),
        ("SALES_WINDOW", "sunday 03:00-06:00", "a window"),
        ("SALES_WINDOW", "daily 25:00-26:00", "a window"),
        ("SALES_WINDOW", "daily 03:00-03:00", "differs from its start"),
        ("WORKER_MAX_ATTEMPTS", "1.5", "a whole number from 1 to 100"),
        *(("WORKER_PROCESSES", odd, "a whole number from 1 to 64") for odd in ("2.0", "+2", "1_0")),
        ("BATCH_SIZE", "7.0", "auto or a whole number"),
        ("METRICS_PORT", "9_102", "a whole number from 1 to 65535"),
        *(("RATE_LIMIT_FOLLOW", odd, "true or false") for odd in ("yes", "1", "on")),
        ("ALERT_PENDING_MAX", "-1", "a whole number from 0"),
        ("ALERT_FAILURE_RATE", "0.05", "a percentage from 0% to 100%"),
        ("ALERT_FAILURE_RATE", "101%", "a percentage from 0% to 100%"),
        ("RATE_LIMIT_OAUTH_PER_MINUTE", "21", "from 1 to 20"),
        ("API_ALLOW_HOST", "https://host/", "the name of a host"),
        ("PRIVATE_HOSTS", "postgres,https://host/", "the name of a host"),
        ("API_CA_FILE", "/nowhere/ca.pem", "a PEM file of certificates (No such file"),
        ("API_CA_FILE", "/dev/null", "a PEM file of certificates"),
        ("API_CA_FILE", " ", "a PEM file of certificates"),
        ("LOG_LEVEL", "loud", "debug or info or warning or error"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(name, value, expected):
    line = problem(name, value)

    assert line.startswith(f"IFOOD_{name}: expected ")
    assert "\n" not in line
    assert expected in line
    assert line.endswith(f"not {value!r}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", f"mysql://app:{SECRET}@db/ifood"),
        ("DATABASE_URL", f"postgresql://app:{SECRET}/x@db/ifood"),
        ("DATABASE_URL", f"postgresql://app:4{SECRET}/5@db/ifood"),
        ("DATABASE_URL", f"postgresql://app:54/{SECRET}@db/ifood"),
        ("DATABASE_URL", f"postgresql://app:{SECRET}@5@db/ifood"),
        ("DATABASE_URL", f"postgresql://app:{SECRET}%zz@db/ifood"),
        ("DATABASE_URL", f"postgresql://app:{SECRET}@db:54x/ifood"),
        ("DATABASE_URL", f"postgresql://app:{SECRET}@db/ifood?sslmod=require"),
        ("DATABASE_URL", f"postgresql://app:{SECRET}@/ifood?host=a:5432&host=b:5432"),
        ("DATABASE_URL", f"postgresql://app:{SECRET} @db/ifood"),
        ("BROKER_URL", f"https://app:{SECRET}@mq"),
        ("BROKER_URL", f"amqp://app:{SECRET}@mq;"),
        ("BROKER_URL", f"amqp://app:{SECRET}@"),
        ("ENCRYPTION_KEYS", SECRET),
        pytest.param("ENCRYPTION_KEYS", f"{Fernet.generate_key().decode()},{SECRET}", id="2nd key"),
        *(
            pytest.param(
                "ENCRYPTION_KEYS",
                f"{Fernet.generate_key().decode()}{between}{Fernet.generate_key().decode()}",
                id=f"keys {number}",  # which a lenient decoder takes for one
            )
            for number, between in enumerate(("\n", " ", ";"))
        ),
        ("API_BASE_URL", f"https://app:{SECRET}@merchant-api.ifood.com.br"),
        ("API_BASE_URL", f"https://merchant-api.ifood.com.br?token={SECRET}"),
        ("API_BASE_URL", "http://merchant-api.ifood.com.br"),
        ("API_BASE_URL", "merchant-api.ifood.com.br"),
    ],
)
def test_a_wrong_secret_is_named_and_never_shown(name, value):
    line = problem(name, value)

    assert line.startswith(f"IFOOD_{name}: expected ")
    assert "\n" not in line
    assert SECRET not in line


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0", timedelta()),
        ("45s", timedelta(seconds=45)),
        (" 10M ", timedelta(minutes=10)),
        ("4h33m", timedelta(hours=4, minutes=33)),
        ("2d", timedelta(days=2)),
    ],
)
def test_durations_are_read(text, duration):
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1.5h", "1m2h", "1 h", "٣s", "9" * 99 + "s"])
def test_garbage_is_no_duration(text):
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=9999)))
def test_a_written_duration_reads_back(duration):
    whole = timedelta(seconds=int(duration.total_seconds()))

    assert parse_duration(format_duration(duration)) == whole


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("mon 08:00-12:00", Window(0, time(8), time(12))),
        ("DAILY  22:00 - 02:00", Window(None, time(22), time(2))),
        ("sun 20:00-24:00", Window(6, time(20), time(0))),
    ],
)
def test_windows_are_read(text, window):
    assert Window.parse(text) == window
    assert Window.parse(str(window)) == window


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("mon 08:00-12:30", timedelta(hours=4, minutes=30)),
        ("daily 22:00-02:00", timedelta(hours=4)),
        ("sun 20:00-24:00", timedelta(hours=4)),
        ("daily 08:01-08:00", timedelta(hours=23, minutes=59)),
    ],
)
def test_a_window_is_as_long_as_its_clock_times_are_apart(text, length):
    assert Window.parse(text).length == length


@pytest.mark.parametrize("between", [" ", ",", ", ", ";", "\n"])
def test_alert_urls_are_told_apart_also_by_what_may_stand_in_one(between):
    urls = ["mailto://me:hunter2@host?to=a@b,c@d", "slack://a/b/c;d"]

    settings = load({"IFOOD_ALERT_URLS": between.join(urls)}, None)

    assert settings.reveal_alert_urls() == urls
    assert [row.value for row in describe(settings) if row.name == "IFOOD_ALERT_URLS"] == [
        "2 address(es), hidden"
    ]
