"""`status --watch`: a live screen on a terminal, plain lines on a pipe."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import text
from support.clock import PATIENCE_SECONDS
from support.program import PROGRAM, Program
from support.rows import DAY, dispatch, make_jobs, must_claim

from ifood_actors.db import transaction
from ifood_actors.ledger import JobResult, Ledger

pytestmark = pytest.mark.services

WATCH = ("status", "--watch", "--interval", "0.2")
HALF, WHOLE = "progress: 50% (1/2)", "progress: 100% (2/2)"


@pytest.fixture
def command(tmp_path: Path, database_url: str) -> Program:
    return Program(tmp_path, {"IFOOD_DATABASE_URL": database_url})


def succeed(engine, job):
    dispatch(engine, job.id)
    with transaction(engine) as tx:
        Ledger(tx, actor="worker").succeed(must_claim(engine, job.id), result=JobResult())


def test_on_a_pipe_each_look_is_a_plain_line_until_it_is_stopped(command, engine):
    first, second = make_jobs(engine, 2)
    succeed(engine, first)
    process = command.piped(*WATCH)
    assert process.stdout

    before = process.stdout.readline()
    succeed(engine, second)
    after = next(line for line in process.stdout if WHOLE in line)
    process.send_signal(signal.SIGTERM)
    rest, said = process.communicate(timeout=PATIENCE_SECONDS)

    assert HALF in before
    assert "\x1b" not in before + after + rest
    assert (process.returncode, said) == (0, "")


def test_on_a_terminal_the_screen_is_drawn_anew_until_it_is_stopped(command, engine):
    first, second = make_jobs(engine, 2)
    succeed(engine, first)
    process, person = on_a_terminal(command, *WATCH, columns=160)

    screen = read_until(person, HALF)
    succeed(engine, second)
    screen += read_until(person, WHOLE)
    process.send_signal(signal.SIGTERM)
    read_until(person, "\x1b[?25h")  # the cursor is shown again

    assert process.wait(PATIENCE_SECONDS) == 0
    assert "\x1b[?25l" in screen
    assert "late p50" in screen
    os.close(person)


def test_open_jobs_that_are_in_no_run_are_counted_too(command, engine):
    """As after an import of the former system's jobs, or an INSERT by hand."""
    make_jobs(engine, 3)
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_jobs SET run_id = NULL"))

    told, shown = command.each([("status", "--json"), ("status",)])

    assert told.document["jobs"]["sales"]["pending"] == 3
    assert "sales outside runs: 3 pending, 0 running" in shown.out


def test_a_job_that_waits_for_its_retry_is_not_the_oldest_that_waits(command, engine):
    make_jobs(engine)
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_jobs SET next_retry_at = now() + INTERVAL '1 hour'"))

    assert command("status", "--json").document["oldest_due"] is None


def test_on_a_narrow_terminal_no_date_and_no_number_goes_on_below(command, engine):
    make_jobs(engine, 1_000, kind="anticipations_daily")
    process, person = on_a_terminal(command, "status", columns=80)

    screen = read_until(person, "last minute")

    assert process.wait(PATIENCE_SECONDS) == 0
    assert re.search(rf"anticipations_daily +{DAY} .* 1,000 ", screen)
    os.close(person)


def on_a_terminal(command, *words, columns):
    person, terminal = os.openpty()
    process = subprocess.Popen(
        [PROGRAM, *words],
        env=command.environment(TERM="xterm", COLUMNS=str(columns), LINES="40"),
        cwd=command.folder,
        stdout=terminal,
        stderr=subprocess.DEVNULL,
    )
    os.close(terminal)
    return process, person


def read_until(person: int, text: str) -> str:
    """Read what the terminal shows; the test's own time-out ends a wait for ever."""
    shown = ""
    while text not in shown:
        shown += os.read(person, 10_000).decode(errors="replace")
    return shown
