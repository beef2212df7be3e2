"""What iFood sends may say anything: it stays one value of one line, in logs and in the ledger."""

import io
import json

import pytest
from sqlalchemy import text
from support.api import Reply, script
from support.deliveries import Bench
from support.rows import row_of

from ifood_actors import logs
from ifood_actors.db import transaction

pytestmark = pytest.mark.services

FORGED = 'x\n{"event": "job.succeeded", "level": "info"}\r\n\x1b[2K\x1b[31m\u2028\u202e\x85\x00 y'
EVIL = set("\n\r\x1b\u2028\u202e\x85\x00")


@pytest.fixture
def bench(engine):
    with script() as server:
        bench = Bench(engine, server)
        yield bench
        bench.close()


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "reply",
    [
        Reply(400, {"error": {"code": FORGED, "message": FORGED}}),
        Reply(422, {"message": FORGED}),
        Reply(403, FORGED.encode()),
        Reply(503, f"<html>{FORGED}</html>".encode()),
        Reply(429, FORGED.encode(), {"Retry-After": "1\x1b[31m"}),
        Reply(302, b"", {"Location": "https://evil.example/\x1b[31m"}),
        Reply(200, FORGED.encode()),
        Reply(200, {FORGED: FORGED}),
    ],
    ids=lambda reply: f"{reply.status} {str(reply.body)[:20]!a}",
)
def test_an_answer_forges_no_line(bench, reply, as_json):
    out = io.StringIO()
    logs.configure("debug", json=as_json, stream=out)
    [job] = bench.plan("sales")

    bench.outcome_of(job, reply)

    row = row_of(bench.engine, job)
    assert row["status"] != "success"
    with transaction(bench.engine) as tx:
        told = list(
            tx.execute(
                text("SELECT reason FROM ifood_job_events WHERE job_id = :id"), {"id": job}
            ).scalars()
        )
    for told_text in filter(None, (*told, row["last_error"])):
        assert not set(told_text) & EVIL
    lines = out.getvalue().split("\n")[:-1]
    assert lines
    assert not set("".join(lines)) & EVIL
    if as_json:
        assert "job.succeeded" not in {json.loads(line)["event"] for line in lines}
    else:
        assert not [line for line in lines if line.lstrip().startswith("{")]
