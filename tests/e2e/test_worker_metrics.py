"""What the worker processes of a host count, added up, among real processes that are killed."""

import os
import signal
from collections import Counter
from urllib.request import urlopen

import pytest
from e2e.test_supervision import workers
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from support.clock import eventually
from support.program import installation
from support.world import MONDAY, register

from ifood_actors.db import transaction
from ifood_actors.embedded.processes import free_port
from ifood_simulator import Fault, Settings, running

pytestmark = pytest.mark.services

MERCHANTS = 30


@pytest.fixture
def simulator():
    with running(Settings(merchants=MERCHANTS, today=MONDAY, latency_seconds=0.1)) as simulator:
        yield simulator


@pytest.fixture
def host(tmp_path, simulator, database_url, broker_url, engine):
    register(engine, simulator)
    return installation(
        tmp_path,
        simulator,
        database_url=database_url,
        broker_url=broker_url,
        IFOOD_WORKER_PROCESSES="2",
        IFOOD_WORKER_MAX_CONCURRENCY="8",
        IFOOD_BACKOFF_BASE="1s",
        IFOOD_METRICS_PORT=str(free_port()),
        IFOOD_METRICS_DIR=str(tmp_path / "counts"),
    )


def scrape(host):
    """Give the samples by name and labels, once somebody serves them."""
    url = f"http://127.0.0.1:{host.settings['IFOOD_METRICS_PORT']}/metrics"
    page = eventually(lambda: read(url))
    return Counter(
        {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page.decode())
            for sample in family.samples
        }
    )


def read(url):
    try:
        with urlopen(url, timeout=5) as answer:  # noqa: S310 - http to loopback
            return answer.read() or b"\n"  # nothing was counted yet
    except OSError:
        return None


def of(samples, name, **labels):
    return samples[name, *sorted(labels.items())]


def total(samples, name, **labels):
    return sum(
        value
        for (found, *items), value in samples.items()
        if found == name and set(labels.items()) <= set(items)
    )


def run(host, engine, kind):
    host.run("plan", kind, "--day", str(MONDAY), "--over", "1s")
    ended = text("SELECT count(*) FROM ifood_jobs WHERE job_type = :k AND status = 'success'")

    def done():
        with transaction(engine) as tx:
            return tx.execute(ended, {"k": kind}).scalar_one() == MERCHANTS

    eventually(done)


def done_deliveries(samples, kind):
    return of(samples, "ifood_deliveries_seconds_count", kind=kind, outcome="done")


def test_counts_are_those_of_all_processes_and_outlive_a_killed_one(host, engine, simulator):
    simulator.add_fault(Fault("cut", resource="sales", times=2))
    with host.process("scheduler"), host.process("worker") as worker:
        run(host, engine, "sales")
        eventually(lambda: host.logs().count("worker.started") == 2)  # see test_supervision.py
        first = scrape(host)
        pids = workers(worker.process.pid)
        os.kill(pids[0], signal.SIGKILL)
        eventually(lambda: set(workers(worker.process.pid)).isdisjoint(pids))
        again = scrape(host)
        run(host, engine, "anticipations_daily")
        last = scrape(host)
    asked = simulator.journal_since()

    assert len(pids) == 2
    # The last delivery is counted a moment after its job has ended.
    assert done_deliveries(first, "sales") >= MERCHANTS - 8
    assert total(last, "ifood_deliveries_seconds_count", kind="sales") >= MERCHANTS + 2
    assert of(last, "ifood_deliveries_seconds_count", kind="sales", outcome="server_fault") == 2
    assert all(again[key] >= first[key] for key in first)
    assert done_deliveries(last, "anticipations_daily") >= MERCHANTS - 8
    assert of(last, "ifood_start_lateness_seconds_count", kind="sales") == MERCHANTS
    assert of(last, "ifood_start_lateness_seconds_sum", kind="sales") > 0
    requests = "ifood_requests_total"
    assert of(last, requests, endpoint="financial", outcome="no_answer") == 2
    financial = [each for each in asked if "/financial/" in each["path"]]
    assert total(last, requests, endpoint="financial") == len(financial)
    assert of(last, "ifood_request_seconds_count", endpoint="financial") == len(financial)
    empty = [each for each in financial if each["status"] == 404]
    assert total(last, "ifood_wasted_requests_total") == len(empty) > 0
    assert of(last, "ifood_limiter_wait_seconds_count", endpoint="financial") == len(financial)


def test_a_command_that_is_started_anew_begins_at_zero(host, engine):
    with host.process("scheduler"):
        with host.process("worker"):
            run(host, engine, "sales")
            assert eventually(lambda: done_deliveries(scrape(host), "sales") == MERCHANTS)
        with host.process("worker"):
            assert done_deliveries(scrape(host), "sales") == 0
