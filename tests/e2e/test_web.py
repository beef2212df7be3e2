"""`ifood-actors web` among real services: who is healthy, who is ready, and what is measured."""

import re
import signal
import socket
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.clock import PATIENCE_SECONDS, eventually
from support.program import NOWHERE_BROKER, NOWHERE_DATABASE, Program
from support.rows import claimed_job, make_accounts, make_app, make_jobs

from ifood_actors.db import transaction
from ifood_actors.ledger import Ledger

pytestmark = pytest.mark.services

METRICS = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
EVERYWHERE = "0.0.0.0"  # noqa: S104 - it is what must be refused


@pytest.fixture
def settings(database_url, broker_url):
    return {"IFOOD_DATABASE_URL": database_url, "IFOOD_BROKER_URL": broker_url}


@contextmanager
def web(folder, settings, *arguments):
    """Serve until the block ends; gives the process and a client that knows its address."""
    (folder / "web.log").unlink(missing_ok=True)
    installed = Program(folder, settings)
    with installed.process("web", "--port", "0", *arguments) as running:
        started = eventually(lambda: re.search(r'"url": "(http://[^"]+)"', installed.logs()))
        assert started
        with httpx.Client(base_url=started[1], timeout=20, trust_env=False) as http:
            yield running, http


def readiness(http, **verdicts):
    """Give the answer once it says so; on a busy machine a service may first take too long."""
    answer = http.get("/readyz")
    return answer if verdicts.items() <= answer.json().items() else None


def scrape(http, *, ledger=True):
    """Give every sample as (name, labels) -> value, and the types by name."""
    up = f"\nifood_ledger_up {float(ledger)}\n"
    answer = eventually(lambda: answer if up in (answer := http.get("/metrics")).text else None)
    assert answer
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = list(text_string_to_metric_families(answer.text))
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }
    return samples, {family.name: family.type for family in families}


def of(samples, name, **labels):
    return samples[name, *sorted(labels.items())]


def test_it_is_healthy_and_ready_and_stops_within_seconds(tmp_path, settings):
    with web(tmp_path, settings) as (running, http):
        ready = eventually(lambda: readiness(http, postgres="ok", rabbitmq="ok"))
        healthy, unknown = http.get("/healthz"), http.get("/nothing")
        refused = http.post("/metrics")
        asked = monotonic()
        running.process.send_signal(signal.SIGINT)

        assert running.process.wait(PATIENCE_SECONDS) == 0
        assert monotonic() - asked < 8
    assert (healthy.status_code, healthy.text) == (200, "ok\n")
    assert ready.status_code == 200
    assert ready.json() == {"ready": True, "postgres": "ok", "rabbitmq": "ok"}
    assert (unknown.status_code, refused.status_code) == (404, 405)
    for answer in (healthy, ready, unknown, refused):
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("away", "url"),
    [("postgres", NOWHERE_DATABASE), ("rabbitmq", NOWHERE_BROKER)],
)
def test_it_says_which_service_is_away_and_no_secret(tmp_path, settings, away, url):
    name = {"postgres": "IFOOD_DATABASE_URL", "rabbitmq": "IFOOD_BROKER_URL"}[away]
    other = {"postgres": "rabbitmq", "rabbitmq": "postgres"}[away]
    with web(tmp_path, {**settings, name: url}) as (running, http):
        said = {away: "cannot be reached", other: "ok"}
        ready = eventually(lambda: readiness(http, **said))
        samples, _ = scrape(http, ledger=away == "rabbitmq")
        healthy = http.get("/healthz")

        assert running.stop() == 0
    assert ready.status_code == 503
    assert ready.json() == {"ready": False, **said}
    assert healthy.status_code == 200
    assert of(samples, "process_cpu_seconds_total") > 0
    log = (tmp_path / "web.log").read_text()
    assert '"service": "' + away in log
    assert "hunter2" not in ready.text + log


@pytest.mark.alone
@pytest.mark.parametrize("silent", ["postgres", "rabbitmq"])
def test_a_service_that_takes_the_connection_and_says_nothing_costs_no_more_than_the_limit(
    tmp_path, settings, silent
):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        url = {
            "postgres": ("IFOOD_DATABASE_URL", f"postgresql://x:hunter2@127.0.0.1:{port}/x"),
            "rabbitmq": ("IFOOD_BROKER_URL", f"amqp://x:hunter2@127.0.0.1:{port}/"),
        }[silent]
        with web(tmp_path, {**settings, url[0]: url[1]}) as (running, http):
            asked = monotonic()
            ready = http.get("/readyz")
            took = monotonic() - asked

            asked = monotonic()
            assert running.stop() == 0
            assert monotonic() - asked < 8
    assert ready.status_code == 503
    assert ready.json()[silent] == "no answer within 3 s"
    assert took < 6


def test_what_it_measures_is_what_the_ledger_holds(tmp_path, settings, engine):
    app_id = make_app(engine, "central")
    slot = datetime.now(UTC) - timedelta(minutes=10)
    make_jobs(engine, 3, slot=slot, app_id=app_id)
    job = claimed_job(engine)
    with transaction(engine) as tx:
        Ledger(tx, actor="worker").fail(job, error_code="server_fault", reason="503")
    make_accounts(engine, 2)

    with web(tmp_path, settings) as (_, http):
        samples, types = scrape(http)

    assert of(samples, "ifood_jobs", kind="sales", status="pending") == 3
    assert of(samples, "ifood_jobs", kind="sales", status="failed") == 1
    assert of(samples, "ifood_jobs", kind="settlements_weekly", status="success") == 0
    assert of(samples, "ifood_oldest_due_seconds", kind="sales") == pytest.approx(600, abs=60)
    assert of(samples, "ifood_oldest_due_seconds", kind="anticipations_daily") == 0
    assert of(samples, "ifood_run_behind_jobs", kind="sales") == 3
    assert of(samples, "ifood_run_planned", kind="sales") == 4
    assert of(samples, "ifood_run_done", kind="sales") == 1
    assert of(samples, "ifood_accounts", state="active") == 6
    assert of(samples, "ifood_accounts", state="inactive") == 0
    assert of(samples, "ifood_breaker_open", app="central") == 0
    assert of(samples, "ifood_jobs_24h", kind="sales") == 4
    assert of(samples, "ifood_job_failures_24h", kind="sales") == 1
    assert of(samples, "ifood_authorizations", state="refused") == 0
    assert of(samples, "ifood_history_bytes") > 8192
    gauges = {name for name in types if name.startswith("ifood_")}
    assert {types[name] for name in gauges} == {"gauge"}
    documented = re.findall(
        r"^\| `(ifood_\w+)`", METRICS.partition("## From each worker")[0], re.MULTILINE
    )
    assert gauges == set(documented)
    assert not {label for _, *labels in samples for label, _ in labels} & {"account", "job"}


def test_wrong_usage_is_one_line_and_starts_nothing(tmp_path, settings):
    command = Program(tmp_path, settings)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        outcomes = [
            command("web", "--host", EVERYWHERE),
            command("web", "--port", port),
            command("web", "--port", "http"),
            command("web", IFOOD_DATABASE_URL=""),
            command("web", IFOOD_BROKER_URL=""),
        ]

    assert [(one.code, one.out, one.err.count("\n")) for one in outcomes] == [(2, "", 1)] * 5
    said = [one.err for one in outcomes]
    assert "loopback only" in said[0]
    assert "cannot listen on" in said[1]
    assert "IFOOD_DATABASE_URL is not set" in said[3]


@pytest.mark.parametrize("name", ["IFOOD_WEB_USERS", "IFOOD_WEB_USERS_FILE"])
@pytest.mark.parametrize("arguments", [("web",), ("web", "--host", EVERYWHERE), ("doctor",)])
def test_users_are_refused_since_there_is_no_sign_in(tmp_path, settings, name, arguments):
    refused = Program(tmp_path, settings)(*arguments, **{name: "maria:operator:hunter2"})
    without = Program(tmp_path, settings)("config", **{name: ""})

    said = refused.out + refused.err  # `doctor` tells what it finds, the others what stops them
    assert (refused.code, said.count("\n")) == (2, 1)
    assert f"{name}: there is no sign-in yet" in said
    assert "hunter2" not in said
    assert (without.code, "WEB_USERS" in without.out) == (0, False)
