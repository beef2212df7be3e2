"""`jobs`, and requeueing by script, on a real database."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from support.clock import PATIENCE_SECONDS
from support.program import PROGRAM, Program
from support.rows import acts_of, claim, dispatch, make_jobs

from ifood_actors.db import transaction
from ifood_actors.ledger import Ledger


@pytest.fixture
def command(tmp_path: Path, database_url: str) -> Program:
    return Program(tmp_path, {"IFOOD_DATABASE_URL": database_url})


def fail(engine: Engine, job_id, reason: str = "GET /sales: 503") -> None:
    dispatch(engine, job_id)
    job = claim(engine, job_id)
    assert job
    with transaction(engine) as tx:
        Ledger(tx, actor="worker").fail(job, error_code="server_fault", reason=reason)


def status_of(engine: Engine, job_id) -> str:
    with transaction(engine) as tx:
        found: str = tx.execute(
            text("SELECT status FROM ifood_jobs WHERE id = :id"), {"id": job_id}
        ).scalar_one()
        return found


@pytest.mark.services
def test_jobs_are_found_by_filters(command, engine):
    [failed, pending] = make_jobs(engine, 2)
    fail(engine, failed.id)

    by_status, by_code, by_merchant, none, cut, table = command.each(
        [
            ["jobs", "list", "--json", "--status", "failed"],
            ["jobs", "list", "--json", "--error-code", "server_fault", "--since", "1h"],
            ["jobs", "list", "--json", "--account", pending.merchant_id],
            ["jobs", "list", "--json", "--kind", "anticipations_daily"],
            ["jobs", "list", "--json", "--limit", "1"],
            ["jobs", "list"],
        ]
    )

    assert [row["id"] for row in by_status.document] == [str(failed.id)]
    assert [row["id"] for row in by_code.document] == [str(failed.id)]
    assert [row["id"] for row in by_merchant.document] == [str(pending.id)]
    assert none.document == []
    assert len(cut.document) == 1
    assert "only the first 1 are shown" in cut.err
    assert str(failed.id) in table.out
    assert len(table.out.splitlines()) == 3


@pytest.mark.services
def test_a_job_tells_its_whole_story_by_the_beginning_of_its_id(command, engine):
    [job] = make_jobs(engine)
    fail(engine, job.id)

    told, shown, unknown, wrong = command.each(
        [
            ["jobs", "show", str(job.id)[:10], "--json"],
            ["jobs", "show", str(job.id).upper()],
            ["jobs", "show", "00000000-0000-4000-8000-000000000000"],
            ["jobs", "show", "'; DROP TABLE ifood_jobs"],
        ]
    )

    assert told.document["job"]["id"] == str(job.id)
    assert [event["act"] for event in told.document["history"]] == acts_of(engine, job.id)
    assert "GET /sales: 503" in shown.out
    assert (unknown.code, wrong.code) == (2, 2)
    assert "no such job" in unknown.err


@pytest.mark.services
def test_a_beginning_that_fits_two_jobs_is_refused(command, engine):
    ids = [str(job.id) for job in make_jobs(engine, 17)]  # of 16 digits, one comes twice
    digit = next(id_[0] for id_ in ids if sum(other[0] == id_[0] for other in ids) > 1)

    answer = command("jobs", "show", digit)

    assert (answer.code, answer.err) == (2, f"ifood-actors: several jobs begin with '{digit}'\n")


@pytest.mark.services
def test_failed_jobs_are_requeued_and_the_count_is_honest(command, engine):
    [failed, other, pending] = make_jobs(engine, 3)
    fail(engine, failed.id)
    fail(engine, other.id)

    preview, nothing, named, all_failed, unknown = command.each(
        [
            ["jobs", "requeue", "--failed", "--since", "24h", "--dry-run"],
            ["jobs", "requeue"],
            ["jobs", "requeue", str(failed.id), str(pending.id)],
            ["jobs", "requeue", "--failed", "--since", "24h"],
            ["jobs", "requeue", str(failed.id), "abc123"],
        ]
    )

    assert preview.out == "would requeue 2 jobs\n"
    assert (nothing.code, nothing.out) == (2, "")
    assert named.out == "requeued 1, skipped 1\n"
    assert all_failed.out == "requeued 1, skipped 0\n"
    assert unknown.code == 2
    assert acts_of(engine, failed.id)[-1] == "requeue"
    with transaction(engine) as tx:
        by = tx.execute(text("SELECT DISTINCT actor FROM ifood_job_events WHERE act = 'requeue'"))
        assert by.scalar_one().startswith("cli ")


@pytest.mark.services
def test_pending_jobs_are_cancelled_and_can_be_requeued(command, engine):
    [job, _] = make_jobs(engine, 2)

    cancelled, again, requeued = command.each(
        [
            ["jobs", "cancel", "--account", job.merchant_id],
            ["jobs", "cancel", str(job.id)],
            ["jobs", "requeue", "--status", "cancelled"],
        ]
    )

    assert cancelled.out == "cancelled 1, skipped 0\n"
    assert again.out == "cancelled 0, skipped 1\n"
    assert requeued.out == "requeued 1, skipped 0\n"
    assert status_of(engine, job.id) == "pending"


@pytest.mark.services
def test_only_what_is_pending_is_cancelled_by_status(command, engine):
    [failed, pending] = make_jobs(engine, 2)
    fail(engine, failed.id)

    refused, cancelled = command.each(
        [
            ["jobs", "cancel", "--status", "failed"],
            ["jobs", "cancel", "--status", "pending"],
        ]
    )

    assert refused.code == 2
    assert refused.err == "ifood-actors: --status: only pending jobs can be cancelled\n"
    assert cancelled.out == "cancelled 1, skipped 0\n"
    assert status_of(engine, failed.id) == "failed"
    assert status_of(engine, pending.id) == "cancelled"


@pytest.mark.services
def test_a_script_requeues_what_failed_and_says_so_first(command, engine):
    [job] = make_jobs(engine)
    fail(engine, job.id)

    answer = command.script("requeue_failed", "--kind", "sales")

    assert answer.out == "requeued 1, skipped 0\n"
    assert "jobs requeue --failed --kind sales --since 24h\nwould requeue 1 job\n" in answer.err
    assert status_of(engine, job.id) == "pending"


@pytest.mark.services
@pytest.mark.parametrize(
    ("answer", "code", "out", "status"),
    [("y\n", 0, "cancelled 1, skipped 0\n", "cancelled"), ("n\n", 1, "", "pending")],
)
def test_a_person_is_asked_and_may_say_no(command, engine, answer, code, out, status):
    [job] = make_jobs(engine)
    person, terminal = os.openpty()

    process = subprocess.Popen(
        [PROGRAM, "jobs", "cancel", str(job.id)],
        env=command.environment(),
        cwd=command.folder,
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(person, answer.encode())
    said, asked = process.communicate(timeout=PATIENCE_SECONDS)
    os.close(person)
    os.close(terminal)

    assert (process.returncode, said) == (code, out)
    assert asked.startswith("cancel 1 job? [y/N] ")
    assert status_of(engine, job.id) == status


@pytest.mark.services
def test_ctrl_c_ends_a_command_quietly_with_130(command, engine):
    [job] = make_jobs(engine)
    person, terminal = os.openpty()

    process = subprocess.Popen(
        [PROGRAM, "jobs", "cancel", str(job.id)],
        env=command.environment(),
        cwd=command.folder,
        stdin=terminal,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    question = process.stderr.read(len("cancel 1 job? [y/N]"))
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=PATIENCE_SECONDS)
    os.close(person)
    os.close(terminal)

    assert (process.returncode, question, rest.strip()) == (130, "cancel 1 job? [y/N]", "")
    assert status_of(engine, job.id) == "pending"
