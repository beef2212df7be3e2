"""`ifood-actors worker` among real signals: what it starts again, what it stops, what it leaves."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import text
from support.clock import PATIENCE_SECONDS, eventually
from support.program import installation
from support.world import MONDAY, register

from ifood_actors.db import transaction
from ifood_simulator import Fault, Settings, running

MERCHANTS = 40
_PR_SET_CHILD_SUBREAPER = 36


@contextmanager
def supervised(script, *, folder):
    """Supervise a shell script that leaves marks in files, such as one for each start."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ifood_actors.worker.supervision", "sh", "-c", script],
            cwd=folder,
            stdout=log,
            stderr=log,
            preexec_fn=_adopt,  # noqa: PLW1509 - it starts no thread and takes no lock
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def _adopt():
    """Become the parent of orphans, as process 1 of a container is (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def marks(folder, name="starts"):
    path = folder / name
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_what_ends_is_started_again_after_doubling_pauses(tmp_path):
    with supervised("echo >> starts; exit 3", folder=tmp_path) as process:
        log = tmp_path / "log"
        eventually(lambda: log.read_text().count("worker.ended") >= 3)

        process.terminate()  # in a pause

        assert process.wait(PATIENCE_SECONDS) == 0
    log = log.read_text()
    assert marks(tmp_path) == log.count("worker.ended")
    assert '"again_in_seconds": 1.0' in log
    assert '"again_in_seconds": 2.0' in log


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are given to process 1")
def test_orphans_are_reaped(tmp_path):
    orphan = "(sleep 600 & echo $! >> orphans)"
    with supervised(f"{orphan}; echo >> starts; exit 3", folder=tmp_path):
        eventually(lambda: marks(tmp_path))

        first = (tmp_path / "orphans").read_text().split()[0]
        eventually(lambda: _state(first) == "")


def test_a_wrong_configuration_is_not_tried_again(tmp_path):
    with supervised("echo >> starts; exit 2", folder=tmp_path) as process:
        assert process.wait(PATIENCE_SECONDS) == 2
    assert marks(tmp_path) == 1


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_once_and_a_second_one_kills(tmp_path, told):
    deaf = "trap 'echo >> terms' TERM; echo >> starts; while :; do sleep 0.1; done"
    with supervised(deaf, folder=tmp_path) as process:
        eventually(lambda: marks(tmp_path) == 1)
        [shell] = children(process.pid)

        process.send_signal(told)
        eventually(lambda: marks(tmp_path, "terms") == 1)  # not only opened: the next one kills
        assert alive({shell}) == {shell}

        process.send_signal(told)
        assert process.wait(PATIENCE_SECONDS) == 128 + told
        eventually(lambda: not alive({shell}))
    assert marks(tmp_path, "terms") == 1


def test_the_command_goes_with_a_killed_supervisor(tmp_path):
    with supervised("echo >> starts; exec sleep 60", folder=tmp_path) as process:
        eventually(lambda: marks(tmp_path) == 1)
        [sleep] = children(process.pid)

        process.kill()

        eventually(lambda: not alive({sleep}))


@pytest.fixture
def simulator():
    with running(Settings(merchants=MERCHANTS, today=MONDAY, latency_seconds=0.3)) as simulator:
        yield simulator


@pytest.fixture
def installed(tmp_path, simulator, database_url, broker_url, engine):
    register(engine, simulator)
    installed = installation(
        tmp_path,
        simulator,
        database_url=database_url,
        broker_url=broker_url,
        IFOOD_WORKER_PROCESSES="2",
        IFOOD_WORKER_MAX_CONCURRENCY="8",
        IFOOD_BACKOFF_BASE="1s",
    )
    installed.run("plan", "sales", "--day", str(MONDAY), "--over", "1s")
    return installed


@pytest.mark.services
def test_jobs_go_on_after_a_worker_process_was_killed(installed, engine):
    with installed.process("scheduler"), installed.process("worker") as worker:
        # The command misses a process that dies while it boots for half a minute, and one that dies
        # while it renews the token holds the others up.
        eventually(lambda: installed.logs().count("worker.started") == 2)
        eventually(lambda: count(engine, "status = 'success'") > 0)

        os.kill(workers(worker.process.pid)[0], signal.SIGKILL)

        eventually(lambda: '"event": "worker.ended"' in installed.logs())
        installed.run("plan", "anticipations_daily", "--day", str(MONDAY), "--over", "1s")
        eventually(lambda: count(engine, "status = 'success'") == 2 * MERCHANTS)
        assert worker.process.poll() is None
    told = [json.loads(line) for line in installed.logs().splitlines()]
    [died] = [line for line in told if "exited unexpectedly" in line["event"]]  # Dramatiq's own
    assert died["level"] == "critical"


@pytest.mark.services
def test_nothing_outlives_a_supervisor_that_was_killed(installed):
    with installed.process("worker") as worker:
        pids = {*children(worker.process.pid), *eventually(lambda: both(worker))}
        eventually(lambda: installed.logs().count("worker.started") == 2)

        worker.process.kill()

        eventually(lambda: not alive(pids))


@pytest.mark.services
def test_a_worker_that_is_told_to_stop_gives_its_jobs_back_uncharged(installed, engine, simulator):
    simulator.add_fault(Fault("slow", resource="sales", seconds=3))
    installed.settings["IFOOD_LEASE"] = "60s"  # or a stall of the machine is charged
    with installed.process("scheduler"), installed.process("worker") as worker:
        eventually(lambda: count(engine, "status = 'running'") == 8)
        pids = {worker.process.pid, *workers(worker.process.pid)}
        started = monotonic()

        assert worker.stop() == 0

        assert monotonic() - started < 30
        assert not alive(pids)
        assert count(engine, "status = 'running'") == 0
        assert count(engine, "status = 'pending' AND attempts > 0") == 0
        assert count(engine, "act = 'snooze'", of="ifood_job_events") > 0


@pytest.mark.services
def test_a_second_signal_ends_all_at_once(installed, engine, simulator):
    simulator.add_fault(Fault("slow", resource="sales", seconds=60))
    with installed.process("scheduler"), installed.process("worker") as worker:
        eventually(lambda: count(engine, "status = 'running'") == 8)
        pids = {*children(worker.process.pid), *workers(worker.process.pid)}
        worker.process.terminate()
        eventually(lambda: "Stopping worker process" in installed.logs())

        worker.process.terminate()

        assert worker.process.wait(PATIENCE_SECONDS) == 128 + signal.SIGTERM
        eventually(lambda: not alive(pids))


def count(engine, condition, *, of="ifood_jobs"):
    with transaction(engine) as tx:
        return tx.execute(text(f"SELECT count(*) FROM {of} WHERE {condition}")).scalar_one()


def workers(supervisor):
    """Give the processes that Dramatiq's command has forked."""
    return [pid for command in children(supervisor) for pid in children(command)]


def both(worker):
    pids = workers(worker.process.pid)
    return pids if len(pids) == 2 else None


def children(pid):
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def alive(pids):
    """Give those that still run: a zombie does not."""
    return {pid for pid in pids if _state(pid) not in {"", "Z", "X"}}


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
