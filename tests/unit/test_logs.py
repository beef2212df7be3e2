import ctypes
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any
from uuid import UUID

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors import logs
from ifood_actors.logs import redact

SECRET = "hunter2hunter2"
JWT = "eyJhbGciOiJSUzUxMiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"
FOREIGN = ("dramatiq.worker", "uvicorn.error", "sqlalchemy.pool", "sqlalchemy.engine", "asyncio")
# What they say at debug holds neither addresses with secrets nor what was sent.
HEARD = {
    "alembic",
    "concurrent",
    "dotenv",
    "dramatiq",
    "ifood_actors",
    "psycopg",
    "tzlocal",
    "uvicorn",
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.root
    handlers, level = list(root.handlers), root.level
    for name in ("uvicorn.error", "uvicorn.access"):  # a simulator may have run in this process
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.contextvars.clear_contextvars()  # nor may a delivery that did
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    for name in logs.QUIET:
        logging.getLogger(name).setLevel(logging.NOTSET)
    logs._known.clear()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def out() -> io.StringIO:
    stream = io.StringIO()
    logs.configure("info", stream=stream)
    return stream


def only_line(out: io.StringIO) -> dict[str, Any]:
    (line,) = out.getvalue().splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_an_event_is_one_json_line_with_its_facts(out):
    logs.get_logger("feeds.sales").info("job.succeeded", rows=3, account=UUID(int=1), none=None)

    line = only_line(out)
    at = datetime.fromisoformat(line.pop("timestamp"))
    assert at.tzinfo == UTC
    assert line == {
        "event": "job.succeeded",
        "logger": "feeds.sales",
        "level": "info",
        "rows": 3,
        "account": "00000000-0000-0000-0000-000000000001",
        "none": None,
    }


@pytest.mark.parametrize(
    ("level", "priority"),
    [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)],
)
def test_in_systemds_journal_a_line_has_the_priority_of_its_level(level, priority):
    program = f"""
import os
from ifood_actors import logs
at = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{{at.st_dev}}:{{at.st_ino}}"
logs.configure("debug")
logs.get_logger("test").{level}("told", rows=3)
"""
    line = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stderr

    prefix, text = line[:3], line[3:]
    assert prefix == f"<{priority}>"
    assert json.loads(text)["rows"] == 3


def test_why_a_process_ends_is_told_word_by_word(out):
    reason = "IFOOD_ENCRYPTION_KEYS: expected Fernet keys, newest first"

    logs.get_logger("test").error(logs.FAILED, reason=reason)

    assert only_line(out)["reason"] == reason


def test_why_a_process_ends_is_told_without_the_secrets_that_a_library_put_into_it(out):
    reason = f"cannot log in at amqp://u:{SECRET}@mq with eyJhbGciOi.x"

    logs.get_logger("test").error(logs.FAILED, reason=reason, token=SECRET, url=f"x://u:{SECRET}@h")

    line = only_line(out)
    assert line["reason"] == "cannot log in at amqp://u:***@mq with ***"
    assert SECRET not in out.getvalue()


@pytest.mark.parametrize("event", ["event", logs.FAILED])
@pytest.mark.parametrize("as_json", [True, False])
def test_a_known_secret_is_in_no_line_wherever_it_stands(event, as_json):
    out = io.StringIO()
    known = ["s3;cret ö", "s3%3Bcret%20%C3%B6", "longer s3;cret ö"]
    logs.configure("debug", hidden=known, json=as_json, stream=out)

    for text in known:
        logs.get_logger("a").info(event, reason=f"sent {text}.", other=[{"a": text}], **{text: 1})
        logging.getLogger("a_library_that_nobody_knows").debug("GET /%s/x", text)
        try:
            fail(text)
        except ValueError:
            logging.getLogger("dramatiq").exception("failed")

    lines = out.getvalue()
    assert "sent ***." in lines
    assert "GET /***/x" in lines
    assert "s3" not in lines
    assert "longer" not in lines


def test_every_library_that_logs_is_either_heard_or_quiet():
    """One that comes with a new release, and narrates at debug, is noticed here."""
    code = """
import logging
import alembic, apprise, dramatiq, httpx, pika, psycopg, requests, sqlalchemy, uvicorn
import apscheduler.schedulers.background
from apprise.manager_plugins import NotificationManager
NotificationManager().load_modules()
import ifood_actors.cli.main, ifood_actors.scheduler.scheduler, ifood_actors.worker.composition
print(*{name.split(".")[0] for name in logging.root.manager.loggerDict})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) <= {*logs.QUIET, *HEARD}


@pytest.mark.parametrize("journal", ["", "1:2", "nonsense"])
def test_elsewhere_a_line_has_no_prefix(journal, monkeypatch, capsys):
    monkeypatch.setenv("JOURNAL_STREAM", journal)

    logs.configure("info", json=True)
    logs.get_logger("test").error("told")

    assert capsys.readouterr().err.startswith("{")


def test_bound_ids_are_on_every_line_also_of_libraries(out):
    with structlog.contextvars.bound_contextvars(job_id="7"):
        logging.getLogger("dramatiq.worker").warning("slow %s", "message")

    line = only_line(out)
    assert (line["job_id"], line["event"]) == ("7", "slow message")


@pytest.mark.parametrize("name", FOREIGN)
def test_what_libraries_write_has_the_same_shape(out, name):
    logging.getLogger(name).error("it broke at amqp://u:%s@host/v", SECRET)

    line = only_line(out)
    assert (line["logger"], line["level"]) == (name, "error")
    assert line["event"] == "it broke at amqp://u:***@host/v"
    assert "timestamp" in line


def test_narrating_libraries_are_heard_from_warnings_on(out):
    for name in logs.QUIET:
        logging.getLogger(name).info("chatter")

    assert out.getvalue() == ""


def test_a_level_below_the_configured_one_is_not_written(out):
    logs.get_logger("a").debug("detail")

    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"postgresql://app:{SECRET}@db/ifood", "postgresql://app:***@db/ifood"),
        (f"amqp://:{SECRET}@mq", "amqp://:***@mq"),
        (f"x amqp://a:p@ss/{SECRET}@mq y", "x amqp://a:***@mq y"),
        (f"Authorization: Bearer {SECRET}", "Authorization: *** ***"),
        (f"sent bearer {SECRET}.", "sent bearer ***"),
        (f"got {JWT}, failed", "got ***, failed"),
        (f"grant_type=x&clientSecret={SECRET}&a=1", "grant_type=x&clientSecret=***&a=1"),
        (f'{{"refreshToken": "{SECRET}", "n": 1}}', '{"refreshToken": ***, "n": 1}'),
        (f"{{'password': '{SECRET} {SECRET}'}}", "{'password': ***}"),
        (f"IFOOD_CLIENT_SECRET={SECRET}", "IFOOD_CLIENT_SECRET=***"),
        ("https://host:8080/sales?page=1", "https://host:8080/sales?page=1"),
        ("progress: 25% (250/1000)", "progress: 25% (250/1000)"),
    ],
)
def test_secrets_in_a_text_are_masked_and_the_rest_stays(text, shown):
    assert redact(text) == shown


def fail(text: str) -> None:
    raise ValueError(text)


class Holder:
    def __repr__(self) -> str:
        return f"Holder(token={SECRET!r})"


@pytest.mark.parametrize(
    "facts",
    [
        {"clientSecret": SECRET},
        {"refresh_token": SECRET.encode()},
        {"headers": {"Authorization": SECRET, "x": [{"password": SECRET}]}},
        {"rows": [f"Bearer {SECRET}", (f"amqp://a:{SECRET}@b",)]},
        {"error": ValueError(f"password={SECRET}")},
        {"holder": Holder()},
        {"nested": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"token": SECRET}}}}}}}}},
        {f"postgresql://a:{SECRET}@b": {f"Bearer {SECRET}": 1}},
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_are_masked_wherever_they_stand(facts, as_json):
    out = io.StringIO()
    logs.configure("info", json=as_json, stream=out)

    logs.get_logger("a").info("event", **facts)

    assert out.getvalue().strip()
    assert SECRET not in out.getvalue()


def test_counting_tokens_is_no_secret(out):
    logs.get_logger("a").info("oauth.used", token_calls=5, has_token=True, token_error=None)

    line = only_line(out)
    assert (line["token_calls"], line["has_token"], line["token_error"]) == (5, True, None)


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_traceback_is_redacted_and_shows_no_locals(stream):
    out = stream()
    logs.configure("info", stream=out)
    kept_in_a_local = "local" + SECRET[:3]

    try:
        fail(f"cannot reach postgresql://app:{SECRET}@db/{len(kept_in_a_local)}")
    except ValueError:
        logs.get_logger("a").exception("db.lost")
        logging.getLogger("dramatiq").exception("again")

    written = out.getvalue()
    assert written.count("cannot reach postgresql://app:***@db/8") == 2
    assert SECRET not in written
    assert kept_in_a_local not in written


FORGED = 'x\n{"event": "forged"}\r\x1b[2K\u2028\u202e'


def test_no_value_can_start_a_json_line_of_its_own(out):
    logs.get_logger("a").info(FORGED, value=FORGED, nested={FORGED: [FORGED]})

    line = only_line(out)
    assert out.getvalue().isascii()
    assert line["value"] == FORGED


def test_no_value_can_start_a_readable_line_of_its_own():
    out = io.StringIO()
    logs.configure("info", json=False, stream=out)

    logs.get_logger("a").info(FORGED, value=FORGED, nested={FORGED: [FORGED]})
    try:
        fail(FORGED)
    except ValueError:
        logs.get_logger("a").exception("failed")

    first, second, *traceback = out.getvalue().rstrip("\n").split("\n")
    assert first.count("forged") == 4
    assert "failed" in second
    assert all(line.startswith("    ") for line in traceback if line)
    assert not set(out.getvalue()) & set("\r\x1b\u2028\u202e")


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_any_text_stays_on_one_readable_line(text):
    out = io.StringIO()
    logs.configure("info", json=False, stream=out)

    logs.get_logger("a").info("event", value=text)

    assert len(out.getvalue().splitlines()) == 1


def test_a_terminal_gets_readable_lines():
    out = Terminal()
    logs.configure("info", stream=out)

    logs.get_logger("a").info("job.succeeded", rows=3)

    assert "job.succeeded" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_configuring_again_replaces_every_former_handler(out):
    logging.getLogger("uvicorn.access").addHandler(logging.StreamHandler(io.StringIO()))
    again = io.StringIO()

    logs.configure("debug", stream=again)
    logging.getLogger("uvicorn.access").info("GET /healthz")

    assert out.getvalue() == ""
    assert only_line(again)["event"] == "GET /healthz"


def test_a_record_that_cannot_be_formatted_shows_no_argument(capsys):
    out = io.StringIO()
    logs.configure("info", stream=out)  # in the test, so that pytest's own handler is gone

    logging.getLogger("sqlalchemy").error("%d", SECRET)

    assert only_line(out)["event"] == "log.unwritable"
    assert SECRET not in out.getvalue() + capsys.readouterr().err


def test_a_closed_stream_ends_no_program():
    out = io.StringIO()
    logs.configure("info", stream=out)
    out.close()

    logs.get_logger("a").info("event")


def test_it_takes_over_from_dramatiqs_own_set_up_and_its_replaced_stderr():
    code = """
import io, logging, sys
sys.stderr = pipe = io.StringIO()
logging.basicConfig(level=logging.INFO, format="plain %(message)s", stream=pipe)
from ifood_actors import logs
logs.configure("info")
logging.getLogger("dramatiq.MainProcess").info("ready")
sys.stdout.write(pipe.getvalue())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout)["event"] == "ready"


def test_before_it_is_configured_nothing_goes_to_stdout():
    code = "from ifood_actors.logs import get_logger; get_logger('a').error('event')"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == ""
    assert "event" in done.stderr


def test_an_interrupt_while_logging_leaves_no_lock_behind(out):
    [handler] = [each for each in logging.root.handlers if getattr(each, "stream", None) is out]
    record = logging.LogRecord("busy", logging.INFO, __file__, 1, "busy", None, None)
    interrupt = ctypes.pythonapi.PyThreadState_SetAsyncExc

    def chatter(ready, done):
        with suppress(KeyboardInterrupt):
            ready.set()
            while not done.is_set():
                handler.handle(record)

    for _ in range(200):
        ready, done = Event(), Event()
        thread = Thread(target=chatter, args=[ready, done])
        thread.start()
        ready.wait()
        interrupt(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(KeyboardInterrupt))
        done.set()  # an interrupt that lands in a destructor is swallowed
        thread.join()

        assert handler.lock
        assert handler.lock.acquire(timeout=1)
        handler.lock.release()
