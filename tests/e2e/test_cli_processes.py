"""`doctor`, and the processes: from an empty database to stored records."""

import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text
from support.clock import eventually
from support.program import NOWHERE_BROKER, Program

import ifood_simulator as fake
from ifood_actors.broker import LadderBroker
from ifood_actors.db import transaction

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def ifood_url() -> Iterator[str]:
    with fake.running(fake.Settings(merchants=1)) as running:
        yield running.url


@pytest.fixture
def command(tmp_path: Path, database_url: str, broker_url: str, ifood_url: str) -> Program:
    return Program(
        tmp_path,
        {
            "IFOOD_DATABASE_URL": database_url,
            "IFOOD_BROKER_URL": broker_url,
            "IFOOD_API_BASE_URL": ifood_url,
            "IFOOD_API_ALLOW_HOST": "127.0.0.1",
            "IFOOD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "IFOOD_WORKER_POLL_INTERVAL_MS": "200",
            "IFOOD_WORKER_PROCESSES": "1",
            "IFOOD_WORKER_MAX_CONCURRENCY": "4",
        },
    )


@contextmanager
def running(command: Program, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = command.piped(*arguments)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def stopped(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> int:
    process.send_signal(number)
    process.communicate(timeout=35)
    return process.returncode


@pytest.mark.parametrize(
    ("words", "begun"),
    [
        (["worker"], "worker.started"),
        (["scheduler"], "scheduler.started"),
        (["web", "--port", "0"], "web.started"),
        (["simulator", "--port", "0"], "http"),
        (["config"], "IFOOD_LOG_LEVEL"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_no_process_takes_a_module_from_the_folder_in_which_it_is_started(
    command, tmp_path, words, begun
):
    trace = tmp_path / "trace"
    names = {name.partition(".")[0] for name in sys.modules if not name.startswith("_")}
    # What a process imports, first of all its own package, and what Python imports unasked.
    for name in {*names, "sitecustomize", "usercustomize", "ifood_actors", "dramatiq"}:
        code = f"open({str(trace)!r}, 'a').write({name!r} + ' ')\n"
        (command.folder / f"{name}.py").write_text(code)

    with running(command, *words) as process:
        said = process.stderr if begun.endswith("started") else process.stdout
        assert said
        assert any(begun in line for line in said)

    assert not trace.exists(), trace.read_text()


def test_from_an_empty_database_to_stored_records(command, tmp_path, engine):
    with running(command, "simulator", "--port", "0", "--accounts", "3") as simulator:
        assert simulator.stdout
        url = simulator.stdout.readline().strip()
        command.settings["IFOOD_API_BASE_URL"] = url
        with urllib.request.urlopen(f"{url}/_simulator/accounts.csv") as answer:  # noqa: S310 - http to loopback
            (tmp_path / "accounts.csv").write_bytes(answer.read())
        client_id = "5f0c5bb8-6ad4-4a52-9d3b-6a1c3f2b7e10"
        prepared = command.each(
            [
                ["apps", "add", "simulated", "--client-id", client_id, "--kind", "centralized"],
                ["accounts", "import", "accounts.csv"],
                ["doctor", "--json"],
                ["plan", "anticipations_daily", "--starts-at", "now", "--over", "1s"],
            ],
            IFOOD_CLIENT_SECRET="simulated-secret",
        )
        assert [one.code for one in prepared] == [0, 0, 0, 0], prepared
        assert {finding["verdict"] for finding in prepared[2].document} == {"ok"}

        with running(command, "scheduler") as scheduler, running(command, "worker") as worker:

            def done() -> bool:
                told = command("status", "--json").document
                counts = [run for run in told["runs"] if run["kind"] == "anticipations_daily"]
                return [run["success"] for run in counts] == [3]

            eventually(done)
            assert sessions(engine) >= {"ifood-actors scheduler", "ifood-actors worker"}
            assert stopped(worker) == 0
            assert stopped(scheduler, signal.SIGINT) == 0
        assert stopped(simulator) == 0


def sessions(engine: Engine) -> set[str]:
    with transaction(engine) as tx:
        named = "SELECT application_name FROM pg_stat_activity WHERE datname = current_database()"
        return set(tx.execute(text(named)).scalars())


def test_the_simulator_says_how_to_use_it_and_refuses_a_port_that_is_taken(command):
    with running(command, "simulator", "--port", "0") as simulator:
        assert simulator.stdout
        url = simulator.stdout.readline().strip()
        assert simulator.stderr
        hints = "".join(simulator.stderr.readline() for _ in range(5))
        second = command("simulator", "--port", url.rpartition(":")[2])

        assert stopped(simulator, signal.SIGINT) == 0

    assert f"IFOOD_API_BASE_URL={url}" in hints
    assert "apps add simulated --client-id 5f0c5bb8" in hints
    assert (second.code, second.out) == (2, "")
    assert "cannot listen on" in second.err


def test_doctor_names_what_is_wrong_and_hides_what_is_secret(command):
    away = {
        "IFOOD_BROKER_URL": NOWHERE_BROKER,
        "IFOOD_API_BASE_URL": "http://127.0.0.1:1",
    }
    add = ["apps", "add", "north", "--client-id", "c", "--kind", "centralized"]
    command.each([add], IFOOD_CLIENT_SECRET="hunter2")

    [services] = command.each([["doctor", "--json"]], **away)
    other_key = Fernet.generate_key().decode()
    [keys, settings] = command.each([["doctor"]], IFOOD_ENCRYPTION_KEYS=other_key) + command.each(
        [["doctor"]], IFOOD_SALES_DAYS="many", IFOOD_LEASE="long"
    )

    found = {finding["check"]: finding for finding in services.document}
    assert services.code == 3
    assert found["postgres"]["verdict"] == "ok"
    assert found["clock"]["verdict"] == "ok"
    assert (found["rabbitmq"]["verdict"], found["rabbitmq"]["unreachable"]) == ("failed", True)
    assert (found["ifood api"]["verdict"], found["ifood api"]["unreachable"]) == ("failed", True)
    assert found["accounts"]["verdict"] == "warning"
    assert keys.code == 1
    assert "cannot decrypt client secrets (1)" in keys.out
    assert settings.code == 2
    assert settings.out.count("configuration") >= 2
    assert "hunter2" not in "".join(one.out + one.err for one in (services, keys, settings))


def test_doctor_tells_of_a_queue_with_other_arguments(command, broker_url):
    broker = LadderBroker(broker_url, middleware=[])
    broker.channel.queue_declare("ifood.sales", durable=True)
    broker.close()

    doctor, scheduler = command.each([["doctor", "--json"], ["scheduler"]])

    [queues] = [finding for finding in doctor.document if finding["check"] == "queues"]
    assert doctor.code == 1
    assert queues["verdict"] == "failed"
    assert "ifood.sales with other arguments" in queues["detail"]
    assert (scheduler.code, scheduler.err.count("\n")) == (2, 1)
