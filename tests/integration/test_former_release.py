"""
What the release before this one wrote, as it wrote it: its rows are read, its jobs go on.

Rows and message are those of release 0.1.0 at work on Postgres and RabbitMQ, but for the columns
of restaurants. The job that runs was recorded waiting, and is as a claim leaves it.
"""

import json
import re
from datetime import UTC, datetime
from uuid import uuid4

import pika
import pytest
from sqlalchemy import TextClause, text
from support.clock import eventually
from support.logins import as_login
from support.program import installation
from support.rows import acts_of, dispatch, make_jobs, must_claim, unwatched
from support.world import KEY, stand_up

from ifood_actors.alerts import evaluate
from ifood_actors.db import transaction
from ifood_actors.delivery.messages import JobMessage, dramatiq_message
from ifood_actors.figures import FIGURES
from ifood_actors.ledger import JobResult, Ledger
from ifood_actors.web.collector import LedgerGauges
from ifood_simulator import Settings, running

pytestmark = pytest.mark.services

RECORDED = datetime(2026, 11, 30, 21, 40, tzinfo=UTC)
INSTANT = re.compile(r"2026-11-30T[0-9:.]+\+00:00")
SUCCESS, FAILED, SENT, RUNNING = (
    "42d5ef60-7f79-484b-b1c7-3340b7bb3d81",
    "443d0ef2-c97d-4f82-859d-196319e00a61",
    "21450743-e7bf-466e-a5a9-095c03438d94",
    "574c4612-eb20-4c92-8ef7-947be8fe671d",
)
RESULT = (
    '{"new": 4, "rows": 4, "amount": "226.02", "wasted": 0, "changed": 0, "missing": 0,'
    ' "complete": true, "rejected": 0, "requests": 1, "vanished": 0, "unchanged": 0,'
    ' "other_merchant_ids": []}'
)
MESSAGE = (
    '{"queue_name":"ifood.sales","actor_name":"sales","args":[],"kwargs":{"job_id":"'
    + SENT
    + '","dispatch_no":1},"options":{"not_before":1796074778402},'
    '"message_id":"3c9fedcf-cea7-4fbf-bc48-d2791120088a","message_timestamp":1796074754477}'
)

RUNS = """
{"id":"5edce35e-6184-439f-8cf7-790081339ccf","job_type":"sales","job_day":"2026-11-10","window_start":"2026-11-30T21:38:32.935918+00:00","window_end":"2026-11-30T21:38:47.935918+00:00","batch_size":96,"planned":3,"complete":true,"created_at":"2026-11-30T21:38:32.954172+00:00","created_by":"scheduler old-host:17895"}
{"id":"ee92b031-38c4-407a-a7ec-e2ec7d863147","job_type":"settlements_weekly","job_day":"2026-11-10","window_start":"2026-11-30T21:38:10.667546+00:00","window_end":"2026-11-30T21:38:25.667546+00:00","batch_size":96,"planned":1,"complete":true,"created_at":"2026-11-30T21:38:10.747816+00:00","created_by":"cli root@vm"}
"""  # noqa: E501 - as Postgres gives a row
JOBS = """
{"id":"42d5ef60-7f79-484b-b1c7-3340b7bb3d81","job_type":"sales","account_id":"ACCOUNT_0","merchant_id":"MERCHANT_0","job_day":"2026-11-10","status":"success","scheduled_for":"2026-11-30T21:38:34.810918+00:00","locked_at":null,"locked_by":null,"attempts":1,"next_retry_at":null,"last_error":null,"created_at":"2026-11-30T21:38:32.954172+00:00","updated_at":"2026-11-30T21:38:42.471003+00:00","run_id":"5edce35e-6184-439f-8cf7-790081339ccf","priority":0,"period_start":"2026-11-07","period_end":"2026-11-09","dispatched_at":"2026-11-30T21:38:40.158402+00:00","dispatch_no":2,"lease_no":2,"lease_expires_at":null,"wake_at":null,"finished_at":"2026-11-30T21:38:42.471003+00:00","error_code":null,"result":RESULT,"event_no":7,"claim_token":null}
{"id":"443d0ef2-c97d-4f82-859d-196319e00a61","job_type":"settlements_weekly","account_id":"ACCOUNT_1","merchant_id":"MERCHANT_1","job_day":"2026-11-10","status":"failed","scheduled_for":"2026-11-30T21:38:13.167546+00:00","locked_at":null,"locked_by":null,"attempts":1,"next_retry_at":null,"last_error":"400 simulated status 400","created_at":"2026-11-30T21:38:10.747816+00:00","updated_at":"2026-11-30T21:38:24.269327+00:00","run_id":"ee92b031-38c4-407a-a7ec-e2ec7d863147","priority":0,"period_start":"2026-10-26","period_end":"2026-11-08","dispatched_at":"2026-11-30T21:38:15.122251+00:00","dispatch_no":1,"lease_no":1,"lease_expires_at":null,"wake_at":null,"finished_at":"2026-11-30T21:38:24.269327+00:00","error_code":"rejected","result":null,"event_no":4,"claim_token":null}
{"id":"21450743-e7bf-466e-a5a9-095c03438d94","job_type":"sales","account_id":"ACCOUNT_2","merchant_id":"MERCHANT_2","job_day":"2026-11-10","status":"pending","scheduled_for":"2026-11-30T21:39:38.402048+00:00","locked_at":null,"locked_by":null,"attempts":0,"next_retry_at":null,"last_error":null,"created_at":"2026-11-30T21:39:13.42974+00:00","updated_at":"2026-11-30T21:39:14.477839+00:00","run_id":"5edce35e-6184-439f-8cf7-790081339ccf","priority":0,"period_start":"2026-11-07","period_end":"2026-11-09","dispatched_at":"2026-11-30T21:39:14.477839+00:00","dispatch_no":1,"lease_no":0,"lease_expires_at":null,"wake_at":"2026-11-30T21:44:38.402048+00:00","finished_at":null,"error_code":null,"result":null,"event_no":2,"claim_token":null}
{"id":"574c4612-eb20-4c92-8ef7-947be8fe671d","job_type":"sales","account_id":"ACCOUNT_3","merchant_id":"MERCHANT_3","job_day":"2026-11-10","status":"running","scheduled_for":"2026-11-30T21:38:34.1+00:00","locked_at":"2026-11-30T21:39:38.1+00:00","locked_by":"worker old-host:18134","attempts":1,"next_retry_at":null,"last_error":null,"created_at":"2026-11-30T21:38:32.954172+00:00","updated_at":"2026-11-30T21:39:38.1+00:00","run_id":"5edce35e-6184-439f-8cf7-790081339ccf","priority":0,"period_start":"2026-11-07","period_end":"2026-11-09","dispatched_at":"2026-11-30T21:38:33.981653+00:00","dispatch_no":1,"lease_no":1,"lease_expires_at":"2026-11-30T21:39:46.1+00:00","wake_at":"2026-11-30T21:39:46.1+00:00","finished_at":null,"error_code":null,"result":null,"event_no":3,"claim_token":"7f0c4c3e-3a52-4f0b-8a53-2a5d1c6c8d11"}
"""  # noqa: E501 - as Postgres gives a row
EVENTS = """
{"id":101,"job_id":"42d5ef60-7f79-484b-b1c7-3340b7bb3d81","event_no":1,"at":"2026-11-30T21:38:32.979973+00:00","act":"plan","from_status":null,"to_status":"pending","attempt":0,"actor":"scheduler old-host:17895","reason":null,"detail":null,"login":"postgres"}
{"id":102,"job_id":"42d5ef60-7f79-484b-b1c7-3340b7bb3d81","event_no":2,"at":"2026-11-30T21:38:33.981653+00:00","act":"dispatch","from_status":"pending","to_status":"pending","attempt":0,"actor":"scheduler old-host:17895","reason":null,"detail":null,"login":"postgres"}
{"id":103,"job_id":"42d5ef60-7f79-484b-b1c7-3340b7bb3d81","event_no":3,"at":"2026-11-30T21:38:35.626314+00:00","act":"claim","from_status":"pending","to_status":"running","attempt":1,"actor":"worker old-host:18134","reason":null,"detail":{"slot": "2026-11-30T21:38:34.810918+00:00"},"login":"postgres"}
{"id":104,"job_id":"42d5ef60-7f79-484b-b1c7-3340b7bb3d81","event_no":4,"at":"2026-11-30T21:38:35.792687+00:00","act":"snooze","from_status":"running","to_status":"pending","attempt":0,"actor":"worker old-host:18134","reason":"429 API rate limit exceeded","detail":null,"login":"postgres"}
{"id":105,"job_id":"42d5ef60-7f79-484b-b1c7-3340b7bb3d81","event_no":5,"at":"2026-11-30T21:38:40.158402+00:00","act":"dispatch","from_status":"pending","to_status":"pending","attempt":0,"actor":"scheduler old-host:17895","reason":null,"detail":null,"login":"postgres"}
{"id":106,"job_id":"42d5ef60-7f79-484b-b1c7-3340b7bb3d81","event_no":6,"at":"2026-11-30T21:38:40.219554+00:00","act":"claim","from_status":"pending","to_status":"running","attempt":1,"actor":"worker old-host:18134","reason":null,"detail":{"slot": "2026-11-30T21:38:34.810918+00:00"},"login":"postgres"}
{"id":107,"job_id":"42d5ef60-7f79-484b-b1c7-3340b7bb3d81","event_no":7,"at":"2026-11-30T21:38:42.471003+00:00","act":"succeed","from_status":"running","to_status":"success","attempt":1,"actor":"worker old-host:18134","reason":null,"detail":RESULT,"login":"postgres"}
{"id":108,"job_id":"443d0ef2-c97d-4f82-859d-196319e00a61","event_no":1,"at":"2026-11-30T21:38:10.779973+00:00","act":"plan","from_status":null,"to_status":"pending","attempt":0,"actor":"cli root@vm","reason":null,"detail":null,"login":"postgres"}
{"id":109,"job_id":"443d0ef2-c97d-4f82-859d-196319e00a61","event_no":2,"at":"2026-11-30T21:38:15.122251+00:00","act":"dispatch","from_status":"pending","to_status":"pending","attempt":0,"actor":"scheduler old-host:17895","reason":null,"detail":null,"login":"postgres"}
{"id":110,"job_id":"443d0ef2-c97d-4f82-859d-196319e00a61","event_no":3,"at":"2026-11-30T21:38:24.1+00:00","act":"claim","from_status":"pending","to_status":"running","attempt":1,"actor":"worker old-host:18134","reason":null,"detail":{"slot": "2026-11-30T21:38:13.167546+00:00"},"login":"postgres"}
{"id":111,"job_id":"443d0ef2-c97d-4f82-859d-196319e00a61","event_no":4,"at":"2026-11-30T21:38:24.269327+00:00","act":"fail","from_status":"running","to_status":"failed","attempt":1,"actor":"worker old-host:18134","reason":"400 simulated status 400","detail":null,"login":"postgres"}
{"id":112,"job_id":"21450743-e7bf-466e-a5a9-095c03438d94","event_no":1,"at":"2026-11-30T21:39:13.5+00:00","act":"plan","from_status":null,"to_status":"pending","attempt":0,"actor":"cli root@vm","reason":null,"detail":null,"login":"postgres"}
{"id":113,"job_id":"21450743-e7bf-466e-a5a9-095c03438d94","event_no":2,"at":"2026-11-30T21:39:14.477839+00:00","act":"dispatch","from_status":"pending","to_status":"pending","attempt":0,"actor":"scheduler old-host:17895","reason":null,"detail":null,"login":"postgres"}
{"id":114,"job_id":"574c4612-eb20-4c92-8ef7-947be8fe671d","event_no":1,"at":"2026-11-30T21:38:32.979973+00:00","act":"plan","from_status":null,"to_status":"pending","attempt":0,"actor":"scheduler old-host:17895","reason":null,"detail":null,"login":"postgres"}
{"id":115,"job_id":"574c4612-eb20-4c92-8ef7-947be8fe671d","event_no":2,"at":"2026-11-30T21:38:33.981653+00:00","act":"dispatch","from_status":"pending","to_status":"pending","attempt":0,"actor":"scheduler old-host:17895","reason":null,"detail":null,"login":"postgres"}
{"id":116,"job_id":"574c4612-eb20-4c92-8ef7-947be8fe671d","event_no":3,"at":"2026-11-30T21:39:38.1+00:00","act":"claim","from_status":"pending","to_status":"running","attempt":1,"actor":"worker old-host:18134","reason":null,"detail":{"slot": "2026-11-30T21:38:34.100000+00:00"},"login":"postgres"}
"""  # noqa: E501 - as Postgres gives a row


@pytest.fixture
def simulator():
    with running(Settings(merchants=4, today=RECORDED.date())) as simulator:
        yield simulator


@pytest.fixture
def world(simulator, database_url, broker_url):
    """Stand a fleet up whose ledger is as the former release left it."""
    urls = {"database_url": database_url, "broker_url": broker_url}
    with stand_up(simulator, **urls) as world:
        restaurants = world.rows("SELECT id, ifood_merchant_id FROM accounts ORDER BY 2")
        named = {"RESULT": RESULT}
        for number, each in enumerate(restaurants):
            named[f"ACCOUNT_{number}"] = str(each["id"])
            named[f"MERCHANT_{number}"] = each["ifood_merchant_id"]
        write(world, "ifood_runs", RUNS, named=named)
        write(world, "ifood_jobs", JOBS, named=named)
        write(world, "ifood_job_events", EVENTS, named=named)
        yield world


def write(world, table, lines, *, named):
    """Store rows as Postgres gave them, with the test's names, as if they were recorded now."""
    for name, value in named.items():
        lines = lines.replace(name, value)
    ago = datetime.now(UTC) - RECORDED
    lines = INSTANT.sub(lambda found: str(datetime.fromisoformat(found[0]) + ago), lines)
    with unwatched(world.engine) as tx:
        tx.execute(
            text(
                f"INSERT INTO {table} SELECT row.* FROM unnest(CAST(:lines AS text[])) AS line,"
                f" jsonb_populate_record(NULL::{table}, CAST(line AS jsonb)) AS row"
            ),
            {"lines": lines.strip().split("\n")},
        )


def test_its_rows_are_read_by_every_figure_rule_and_command(world, tmp_path, broker_url):
    gauges = LedgerGauges(world.engine, world.settings, wanted=FIGURES).read()
    found = {sample.name: sample.value for family in gauges for sample in family.samples}
    with transaction(world.engine) as tx:
        evaluation = evaluate(tx, None, world.settings)
    program = installation(
        tmp_path,
        world.simulator,
        database_url=world.settings.require_database_url(),
        broker_url=broker_url,
        IFOOD_ENCRYPTION_KEYS=KEY,
    )
    shown = [program.json("jobs", "show", job) for job in (SUCCESS, FAILED, SENT, RUNNING)]
    [error] = program.json("errors")
    [sales, _] = program.json("report", "--day", "2026-11-10")["kinds"]

    assert found["ifood_ledger_up"] == 1
    assert not [each for each in evaluation.firing if each.name in ("RuleFailed", "HistoryAtOdds")]
    assert [len(job["history"]) for job in shown] == [7, 4, 2, 3]
    assert shown[0]["history"][-1]["detail"] == json.loads(RESULT)
    assert error["error_code"] == "rejected"
    assert (sales["success"], sales["rows"]) == (1, 4)
    assert program.json("status")


def test_its_jobs_go_on_with_its_message_its_claim_and_its_history(world, broker_url):
    with pika.BlockingConnection(pika.URLParameters(broker_url)) as connection:
        connection.channel().basic_publish(
            "", "ifood.sales", MESSAGE.encode(), pika.BasicProperties(delivery_mode=2)
        )

    with world.working(threads=2):
        eventually(world.idle)
    jobs = {str(job["id"]): job for job in world.rows("SELECT * FROM ifood_jobs")}

    columns = ("status", "attempts", "dispatch_no", "event_no")
    assert {id_: tuple(job[name] for name in columns) for id_, job in jobs.items()} == {
        SUCCESS: ("success", 1, 2, 7),
        FAILED: ("failed", 1, 1, 4),
        SENT: ("success", 1, 1, 4),  # by its own message: none was sent again
        RUNNING: ("success", 2, 2, 7),
    }
    assert world.acts(RUNNING)[-3:] == ["rescue", "claim", "succeed"]
    assert world.acts(SENT) == ["plan", "claim", "succeed"]
    assert not world.rows(
        "SELECT FROM ifood_job_events GROUP BY job_id HAVING count(*) <> max(event_no)"
    )


def former_act(act: str, which: str, changes: str) -> TextClause:
    """Give the statement of an act as the former release sends it."""
    return text(f"""
        WITH before AS (SELECT id, status FROM ifood_jobs WHERE {which} FOR UPDATE),
        job AS (
          UPDATE ifood_jobs SET {changes}, event_no = event_no + 1,
            updated_at = statement_timestamp()
          FROM before WHERE ifood_jobs.id = before.id
          RETURNING ifood_jobs.*, before.status AS from_status)
        INSERT INTO ifood_job_events
          (job_id, event_no, at, act, from_status, to_status, attempt, actor, reason, detail)
        SELECT id, event_no, statement_timestamp(), '{act}', from_status, status, attempts,
          'worker old-host:1', NULL, CAST(:detail AS jsonb)
        FROM job RETURNING job_id
    """)


FORMER_CLAIM = former_act(
    "claim",
    "id = :id AND status IN ('pending')",
    """status = 'running', attempts = attempts + 1, lease_no = lease_no + 1,
    claim_token = :claim_token, locked_by = 'worker old-host:1',
    locked_at = statement_timestamp(), next_retry_at = NULL,
    lease_expires_at = statement_timestamp() + INTERVAL '60 s',
    wake_at = statement_timestamp() + INTERVAL '60 s'""",
)
FORMER_SUCCESS = former_act(
    "succeed",
    "id = :id AND lease_no = :lease_no AND claim_token = :claim_token AND status IN ('running')",
    """status = 'success', locked_at = NULL, locked_by = NULL, claim_token = NULL,
    lease_expires_at = NULL, wake_at = NULL, next_retry_at = NULL,
    finished_at = statement_timestamp(), last_error = NULL, error_code = NULL,
    result = CAST(:detail AS jsonb)""",
)


def test_its_workers_claim_and_end_jobs_beside_ours(engine):
    first, second = make_jobs(engine, count=2)
    dispatch(engine, first.id, second.id)
    worker = as_login(engine, "worker")
    ours = must_claim(engine, first.id)
    theirs = {"id": second.id, "claim_token": uuid4()}
    slot = {"detail": '{"slot": "2026-11-30T21:38:34.810918+00:00"}'}
    with transaction(worker) as tx:
        assert tx.execute(FORMER_CLAIM, theirs | slot).scalars().all() == [second.id]

    with transaction(worker) as tx:
        ended = {"lease_no": 1, "detail": RESULT}
        assert tx.execute(FORMER_SUCCESS, theirs | ended).scalars().all() == [second.id]
        stale = {"id": first.id, "claim_token": uuid4()}
        assert tx.execute(FORMER_SUCCESS, stale | ended).scalars().all() == []
    with transaction(worker) as tx:
        Ledger(tx, actor="worker").succeed(ours, result=JobResult())

    for job in (first, second):
        assert acts_of(engine, job.id) == ["plan", "dispatch", "claim", "succeed"]


def test_its_workers_take_our_messages_and_its_readers_our_results():
    ours = dramatiq_message("sales", JobMessage.from_kwargs({"job_id": SENT, "dispatch_no": 1}))
    theirs = json.loads(MESSAGE)
    changing = ("options", "message_id", "message_timestamp")

    written = json.loads(ours.encode())

    assert list(written) == list(theirs)
    assert written | {name: theirs[name] for name in changing} == theirs
    assert written["options"] == {}
    assert JobResult().to_json().keys() == json.loads(RESULT).keys()
