"""`errors`, and `jobs requeue --error-group`, on a real database."""

from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from support.program import Program
from support.rows import acts_of, backdate, dispatch, make_jobs, must_claim, row_of

from ifood_actors.db import transaction
from ifood_actors.ledger import Ledger

pytestmark = pytest.mark.services

ID = "277ce835-15e8-4c1f-9a40-6d0f3a8e6f10"
OTHER_ID = "FA3D1B00-8f0e-4d4e-8f35-0c61d0a7f3c2"
# Two messages each that are one group, and what both become.
PAIRS = (
    ("GET /sales: 503 after 1.5 s", "GET /sales: 502 after 12 s", "GET /sales: <n> after <n> s"),
    (f"no merchant {ID}", f"no merchant {OTHER_ID}", "no merchant <id>"),
    (
        "paid on 2026-03-31",
        "paid on 2026-04-01T08:00:00.25-03:00",
        "paid on <date>",
    ),
    ("field 'amount' is \"x\"", "field 'fee' is \"it's\"", "field <value> is <value>"),
    (
        "https://a.example/v1?day=1 and 'https://a.example/2'",
        "http://b.example:80/ and 'the other'",
        "<url> and <value>",
    ),
    (
        'GET "a": 403 HTML page "Error 1020: access denied!"',
        'GET "b": 403 HTML page "Error 1015: access denied!"',
        'GET <value>: <n> HTML page "Error <n>: access denied!"',
    ),
)


@pytest.fixture
def command(tmp_path: Path, database_url: str) -> Program:
    return Program(tmp_path, {"IFOOD_DATABASE_URL": database_url})


def fail(engine, reason, *, code="server_fault", kind="sales", ago=timedelta()):
    [job] = make_jobs(engine, kind=kind)
    dispatch(engine, job.id)
    with transaction(engine) as tx:
        Ledger(tx, actor="worker").fail(must_claim(engine, job.id), error_code=code, reason=reason)
    backdate(engine, job.id, finished_at=ago)
    return job.id


def status_of(engine, job_id):
    return row_of(engine, job_id)["status"]


def test_messages_that_differ_in_what_varies_are_one_group(command, engine):
    for first, second, _ in PAIRS:
        fail(engine, first)
        fail(engine, second)

    told = command("errors", "--json").document

    assert {group["message"] for group in told} == {message for *_, message in PAIRS}
    assert {group["jobs"] for group in told} == {2}


def test_an_apostrophe_is_no_quote(command, engine):
    fail(engine, "the store's list doesn't end")

    assert command("errors", "--json").document[0]["message"] == "the store's list doesn't end"


def test_groups_come_most_common_first_with_their_first_last_and_latest_jobs(command, engine):
    often = [fail(engine, f"503 in try {hour}", ago=timedelta(hours=hour)) for hour in (5, 4, 3, 2)]
    fail(engine, "schema", code="schema")
    fail(engine, "schema", code="other")
    fail(engine, "schema", code="schema", kind="anticipations_daily")

    shown, told, of_kind, cut = command.each(
        [
            ["errors"],
            ["errors", "--json"],
            ["errors", "--json", "--kind", "anticipations_daily"],
            ["errors", "--json", "--limit", "1"],
        ]
    )

    first = told.document[0]
    assert [group["jobs"] for group in told.document] == [4, 1, 1, 1]
    assert len({group["id"] for group in told.document}) == 4
    assert first["sample_jobs"] == [str(job) for job in reversed(often[1:])]
    assert first["first_seen"] < first["last_seen"]
    assert first["id"] in shown.out
    assert "jobs requeue --error-group" in shown.err
    assert [group["kind"] for group in of_kind.document] == ["anticipations_daily"]
    assert cut.document == [first]
    assert "only the first 1 are shown" in cut.err


def test_the_id_of_a_group_is_the_same_in_every_database(command, engine):
    fail(engine, "GET /sales: 503")

    [group] = command("errors", "--json").document

    made_of = "sales\x1fserver_fault\x1fGET /sales: <n>"
    assert group["id"] == sha256(made_of.encode()).hexdigest()[:8]


def test_no_failure_is_no_group(command):
    shown, told = command.each([["errors"], ["errors", "--json"]])

    assert (shown.code, shown.err) == (0, "no job failed in that time\n")
    assert told.document == []


def test_what_came_from_elsewhere_cannot_colour_the_screen(command, engine):
    fail(engine, "\x1b[31mred")

    assert "\x1b" not in command("errors").out


def test_exactly_one_group_is_requeued_and_the_count_is_that_of_errors(command, engine):
    mine = [fail(engine, f"503 in try {number}") for number in (1, 2)]
    long_ago = fail(engine, "503 in try 3", ago=timedelta(hours=25))
    others = [
        fail(engine, "503 in another try 1"),
        fail(engine, "503 in try 1", code="other"),
        fail(engine, "503 in try 1", kind="anticipations_daily"),
    ]
    group = command("errors", "--json").document[0]
    assert group["jobs"] == 2

    preview, done, again, long = command.each(
        [
            ["jobs", "requeue", "--error-group", group["id"], "--dry-run"],
            ["jobs", "requeue", "--error-group", group["id"]],
            ["jobs", "requeue", "--error-group", group["id"]],
            ["jobs", "requeue", "--error-group", group["id"], "--since", "26h", "--dry-run"],
        ]
    )

    scope = f"of error group {group['id']}, failed in the last"
    assert preview.out == f"would requeue 2 jobs {scope} 1d\n"
    assert done.out == "requeued 2, skipped 0\n"
    assert (again.code, again.out) == (2, "")
    assert f"there is no job {scope} 1d" in again.err
    assert long.out == f"would requeue 1 job {scope} 1d2h\n"
    assert {status_of(engine, job) for job in mine} == {"pending"}
    assert {status_of(engine, job) for job in (long_ago, *others)} == {"failed"}
    assert acts_of(engine, mine[0])[-1] == "requeue"
