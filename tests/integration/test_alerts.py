"""Every alert fires and resolves, through Apprise to a real webhook, once, from two schedulers."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pika
import pytest
from sqlalchemy import Engine, text
from support.clock import eventually
from support.logins import logged_in
from support.program import windows_far_away
from support.rows import (
    make_accounts,
    make_app,
    make_jobs,
    make_rejected_item,
    unbound,
    unwatched,
    waits_for_a_lock,
)
from support.servers import Webhook, webhook

from ifood_actors.alerts import Evaluator, Notifier, evaluate, memory
from ifood_actors.broker import LadderBroker, topology
from ifood_actors.config import Settings
from ifood_actors.db import connect, database_now, transaction
from ifood_actors.figures import RULES, FiringAlert
from ifood_actors.kinds import KINDS, queue_name
from ifood_actors.scheduler.scheduler import Scheduler

pytestmark = pytest.mark.services

WORK = [queue_name(kind) for kind in KINDS]
THROTTLED = '{"http_status": 429}'
MISSED = '{"missed": true}'
HEADINGS = {rule.name: rule.heading for rule in RULES}
# As they are, but at once; the length of the waits has tests of its own.
QUICK = tuple(replace(rule, wait=timedelta(), calm=timedelta()) for rule in RULES)


@dataclass(frozen=True)
class World:
    engine: Engine
    broker: LadderBroker
    broker_url: str
    app: Any

    def sql(self, statement: str, **values: object) -> None:
        with unwatched(self.engine) as tx:  # nothing is a person's repair here
            tx.execute(text(statement), values)

    def channel(self) -> Any:
        return pika.BlockingConnection(pika.URLParameters(self.broker_url)).channel()

    def publish(self, queue: str) -> None:
        self.broker.channel.basic_publish("", queue, b"a message")

    def purge(self, queue: str) -> None:
        # Not by the broker's connection, which RabbitMQ ends when it has been idle for 20 s.
        channel = self.channel()
        channel.queue_purge(queue)
        channel.connection.close()


class Quiet:
    """A publisher that says yes: what is dispatched is no concern of these tests."""

    def enqueue_many(self, messages):
        list(messages)


@pytest.fixture
def settings(database_url, broker_url):
    return Settings.model_validate(
        {
            "database_url": database_url,
            "broker_url": broker_url,
            "worker_poll_interval_ms": 100,
            "alert_pending_max": 5,
            "alert_failed_max": 5,
            **windows_far_away(),
        }
    )


@pytest.fixture
def world(engine, broker_url) -> Iterator[World]:
    broker = LadderBroker(broker_url, middleware=[])
    for queue in WORK:
        broker.declare_queue(queue)
    broker.declare_all()
    yield World(engine, broker, broker_url, make_app(engine))
    broker.close()


@pytest.fixture
def app_alone(engine) -> World:
    return World(engine, None, "", make_app(engine))  # type: ignore[arg-type] # asks no broker


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as hook:
        yield hook


class Counted:
    """An evaluator that counts how often it has evaluated and told."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self.rounds = 0

    def run(self) -> None:
        self._evaluator.run()
        self.rounds += 1


@contextmanager
def schedulers(settings: Settings, *, rules=QUICK) -> Iterator[Callable[[], None]]:
    """Two, each with connections of its own, as on two hosts; gives what waits for two rounds."""
    url = logged_in(settings.require_database_url(), "scheduler")
    engines = [connect(url, application_name="two") for _ in range(2)]
    running = [Scheduler(settings, engine=own, publisher=Quiet(), rules=rules) for own in engines]
    evaluators = [Counted(each._evaluator) for each in running]
    for each, evaluator in zip(running, evaluators, strict=True):
        each._evaluator = evaluator  # type: ignore[assignment] # it runs as the one behind it
        each.start()

    def two_rounds() -> None:
        wanted = [evaluator.rounds + 2 for evaluator in evaluators]
        done = list(zip(evaluators, wanted, strict=True))
        eventually(lambda: all(evaluator.rounds >= rounds for evaluator, rounds in done))

    try:
        yield two_rounds
    finally:
        for each in running:
            each.stop()
        for own in engines:
            own.dispose()


def jobs(world: World, *, count: int, status: str, slot: str = "0 s", **columns: str) -> None:
    make_jobs(world.engine, count)
    changes = "".join(f", {name} = {value}" for name, value in columns.items())
    wake = "wake_at" if status in {"pending", "running"} else "NULL"
    world.sql(
        f"UPDATE ifood_jobs SET status = '{status}', wake_at = {wake},"
        f" scheduled_for = now() - INTERVAL '{slot}'{changes}"
    )


def three_rejected_items(world: World) -> None:
    for key in "abc":
        make_rejected_item(world.engine, key)


def incomplete_pulls(world: World) -> None:
    """Let an account's last two jobs, of today and of yesterday, end without a complete pull."""
    jobs(world, count=1, status="success", result="""'{"complete": false}'""")
    world.sql("UPDATE ifood_jobs SET job_day = current_date")
    world.sql("""
        INSERT INTO ifood_jobs SELECT (jsonb_populate_record(job,
          jsonb_build_object('id', gen_random_uuid(), 'job_day', current_date - 1))).*
        FROM ifood_jobs AS job
    """)


def complete_pull(world: World) -> None:
    world.sql(
        """UPDATE ifood_jobs SET result = '{"complete": true}' WHERE job_day = current_date"""
    )


def no_jobs(world: World) -> None:
    world.sql("DELETE FROM ifood_jobs")


def workers(world: World) -> Callable[[], None]:
    """Consume from every work queue; gives what ends it."""
    channel = world.channel()
    for queue in WORK:
        channel.basic_consume(queue, lambda *_: None)

    def close() -> None:
        channel.connection.close()

    return close


def limits(world: World, failures: int, *, blocked_by: str | None = None) -> None:
    world.sql(
        "INSERT INTO ifood_limits"
        " (app_id, endpoint_group, next_free_at, closed_at, failures, blocked_by)"
        " VALUES (:app, 'financial', now(), now(), :failures, :blocked_by)"
        " ON CONFLICT (app_id, endpoint_group) DO UPDATE"
        " SET failures = :failures, blocked_by = :blocked_by",
        app=world.app,
        failures=failures,
        blocked_by=blocked_by,
    )


def refused_in_a_row(world: World) -> None:
    world.sql(
        "INSERT INTO ifood_authorizations (app_id, name, renewed_at, refused_at, refused_reason)"
        " SELECT :app, number, now() - INTERVAL '1 min', now(), '401 Invalid refresh token'"
        " FROM generate_series(1, 3) AS number",
        app=world.app,
    )


def authorization(world: World, **columns: str) -> None:
    names, values = ", ".join(columns), ", ".join(columns.values())
    world.sql(
        f"INSERT INTO ifood_authorizations (app_id, name, {names})"
        f" VALUES (:app, 'Maria', {values})",
        app=world.app,
    )


def throttled(world: World, *, reason: str = "wait", detail: str | None = THROTTLED) -> None:
    world.sql(
        "INSERT INTO ifood_job_events"
        " (job_id, event_no, at, act, to_status, attempt, actor, reason, detail)"
        " SELECT gen_random_uuid(), 1, now(), 'snooze', 'pending', 1, 'w', :reason,"
        " CAST(:detail AS jsonb) FROM generate_series(1, 30)",
        reason=reason,
        detail=detail,
    )


def lost(world: World, *, reason: str = "lost", detail: str | None = MISSED) -> None:
    world.sql(
        "INSERT INTO ifood_job_events"
        " (job_id, event_no, at, act, to_status, attempt, actor, reason, detail)"
        " SELECT gen_random_uuid(), 1, now(), 'dispatch', 'pending', 0, 's', :reason,"
        " CAST(:detail AS jsonb) FROM generate_series(1, 30)",
        reason=reason,
        detail=detail,
    )


def much_history(world: World) -> None:
    world.sql(
        "INSERT INTO ifood_job_events (job_id, event_no, at, act, to_status, attempt, actor)"
        " SELECT gen_random_uuid(), 1, now(), 'plan', 'pending', 1, 'w'"
        " FROM generate_series(1, 20000)"
    )


def stale_account(world: World) -> None:
    make_accounts(world.engine)
    world.sql("UPDATE accounts SET created_at = now() - INTERVAL '30 days'")


def silent(world: World) -> None:
    world.sql(
        "INSERT INTO ifood_schedulers (host, seen_at)"
        " VALUES ('another-host', now() - INTERVAL '5 hours')"
    )


def unplanned(world: World) -> None:
    """Have a window open that no scheduler can plan, for want of a right."""
    stale_account(world)
    world.sql("""
        INSERT INTO ifood_runs (id, job_type, job_day, window_start, window_end, batch_size,
          complete, created_by)
        VALUES (gen_random_uuid(), 'sales', current_date - 20, now(), now(), 5, true, 'scheduler')
    """)
    world.sql("REVOKE UPDATE ON ifood_runs FROM ifood_scheduler")


def planned_again(world: World) -> None:
    world.sql(
        "GRANT UPDATE (planned, complete, window_end, created_by) ON ifood_runs TO ifood_scheduler"
    )


def a_job_at_odds(world: World) -> None:
    make_jobs(world.engine)
    world.sql("UPDATE ifood_jobs SET event_no = 0")


def mended_by_a_person(world: World) -> None:
    with transaction(world.engine) as tx:
        tx.execute(text("UPDATE ifood_jobs SET next_retry_at = now()"))


def result_of_an_old_release(world: World, result: str) -> None:
    jobs(world, count=1, status="success")
    with unbound(world.engine) as tx:
        tx.execute(text("UPDATE ifood_jobs SET result = CAST(:it AS jsonb)"), {"it": result})


# Each: what makes it fire, what ends it, the subject, and the number and limit that people read.
CASES = {
    "JobsPending": (
        lambda w: jobs(w, count=6, status="pending", slot="2 min"),
        no_jobs,
        ("all", "6 jobs are pending", "limit 5"),
    ),
    "JobsFailed": (
        lambda w: jobs(w, count=6, status="failed"),
        no_jobs,
        ("all", "6 jobs of the last 24 hours have failed", "limit 5"),
    ),
    "FailureRate": (
        lambda w: jobs(w, count=4, status="failed"),
        lambda w: w.sql("UPDATE ifood_jobs SET status = 'success'"),
        ("sales", "100% of the jobs", "limit 5%"),
    ),
    "RunBehind": (
        lambda w: jobs(w, count=21, status="running", locked_at="now()"),
        no_jobs,
        ("sales", "21 jobs should have started and have not ended: 100%", "limit 10%"),
    ),
    "JobOverdue": (
        lambda w: jobs(w, count=1, status="pending", slot="5 h"),
        no_jobs,
        ("sales", "passed 5h", "limit 30m"),
    ),
    "WindowWithoutRun": (
        unplanned,
        planned_again,
        ("sales", "ago, and no scheduler has planned its run", "limit 2m"),
    ),
    "RuleFailed": (
        lambda w: result_of_an_old_release(w, '{"vanished": "x"}'),
        no_jobs,
        ("RowsVanished", "the rule cannot be evaluated", 'bigint: "x"', "limit 0"),
    ),
    "RightMissing": (
        unplanned,
        planned_again,
        ("scheduler, plan sales", "permission denied for table ifood_runs", "limit 0"),
    ),
    "SchedulerSilent": (
        silent,
        lambda w: w.sql("UPDATE ifood_schedulers SET seen_at = now()"),
        ("another-host", "no sign of life for 5h", "limit 2m"),
    ),
    "DeadLetters": (
        lambda w: w.publish("ifood.sales.XQ"),
        lambda w: w.purge("ifood.sales.XQ"),
        ("ifood.sales.XQ", "1 messages", "limit 0"),
    ),
    "UnroutableOrders": (
        lambda w: w.publish(topology.UNROUTABLE),
        lambda w: w.purge(topology.UNROUTABLE),
        (topology.UNROUTABLE, "1 messages", "limit 0"),
    ),
    "MessagesLost": (
        lost,
        lambda w: w.sql("UPDATE ifood_job_events SET at = now() - INTERVAL '1 h'"),
        ("all", "30 messages of the last 15 minutes were lost or came early", "limit 0"),
    ),
    "AuthorizationExpiring": (
        lambda w: authorization(w, refresh_expires_at="now() + INTERVAL '10 h 30 min'"),
        lambda w: w.sql(
            "UPDATE ifood_authorizations SET refresh_expires_at = now() + interval '7d'"
        ),
        ("app, Maria", "ends in 10h", "limit 1d12h"),
    ),
    "AuthorizationRefused": (
        lambda w: authorization(w, needs_authorization_since="now() - INTERVAL '2 h'"),
        lambda w: w.sql("UPDATE ifood_authorizations SET needs_authorization_since = NULL"),
        ("app, Maria", "the owner has to authorize again", "limit 0"),
    ),
    "ApplicationRefused": (
        refused_in_a_row,
        lambda w: w.sql("UPDATE ifood_authorizations SET renewed_at = now() WHERE name = '2'"),
        ("app", "refused 3 authorizations in a row", "401 Invalid refresh token", "limit 2"),
    ),
    "SecretsUnreadable": (
        lambda w: authorization(w, unreadable_at="now()", unreadable_by="'host-7'"),
        lambda w: w.sql("UPDATE ifood_authorizations SET unreadable_at = now() - INTERVAL '1 h'"),
        ("host-7", "secrets of 1 authorizations could not be decrypted there", "limit 0"),
    ),
    "Throttled": (
        throttled,
        lambda w: w.sql("UPDATE ifood_job_events SET at = now() - INTERVAL '1 h'"),
        ("all", "100% of the requests", "limit 10%"),
    ),
    "BreakerOpen": (
        lambda w: limits(w, 12),
        lambda w: limits(w, 0),
        ("app", "12 deliveries in a row", "limit 10"),
    ),
    "ApplicationBlocked": (
        lambda w: limits(w, 12, blocked_by='403 HTML page "Blocked"'),
        lambda w: limits(w, 0),
        ("app", '403 HTML page "Blocked"', "limit 0"),
    ),
    "AccountsStale": (
        stale_account,
        lambda w: w.sql("UPDATE accounts SET active = false"),
        ("sales", "1 active accounts have no fresh data, such as Cantina", "limit 0"),
    ),
    "RowsVanished": (
        lambda w: jobs(w, count=3, status="success", result="""'{"vanished": 20}'"""),
        no_jobs,
        ("sales", "3 stores of the run of 2026-09-21 did not bring", "60 rows in all", "limit 2"),
    ),
    "HistoryAtOdds": (
        a_job_at_odds,
        mended_by_a_person,
        ("all", "1 jobs are not where their history ends", "limit 0"),
    ),
    "RequestsWasted": (
        lambda w: jobs(w, count=20, status="success", result="""'{"requests": 2, "wasted": 1}'"""),
        no_jobs,
        ("all", "50% of the requests", "20 of 40", "limit 10%"),
    ),
    "ItemsRejected": (
        three_rejected_items,
        lambda w: w.sql("UPDATE ifood_rejected_items SET last_seen_at = now() - INTERVAL '9 days'"),
        ("sales", "3 items of 1 stores could not be read exactly", "limit 0"),
    ),
    "PullsIncomplete": (
        incomplete_pulls,
        complete_pull,
        (
            "sales",
            "of 1 active accounts the last two pulls were not complete, such as C",
            "limit 0",
        ),
    ),
    "HistoryLarge": (
        much_history,
        lambda w: w.sql("TRUNCATE ifood_job_events"),
        ("all", "the table of the history takes 0.0 GiB", "limit 0.0 GiB"),
    ),
}


def test_every_rule_has_its_case():
    assert {*CASES, "NoWorker", "RabbitUnusable"} == {rule.name for rule in RULES}


@pytest.mark.parametrize("name", CASES)
def test_an_alert_is_told_once_when_it_starts_and_once_when_it_ends(world, settings, hook, name):
    start, end, expected = CASES[name]
    settings = settings.model_copy(update={"alert_urls": Settings(alert_urls=hook.url).alert_urls})
    # No rule needs another but `RuleFailed`, which is about the one that is its subject.
    rules = [rule for rule in QUICK if rule.name in (name, expected[0])]
    if name == "HistoryLarge":
        rules = [replace(rule, limit=lambda _: 1e6) for rule in rules]
    hook.slowness = 1  # longer than the other scheduler takes to look again
    closing = workers(world)
    start(world)

    with schedulers(settings, rules=rules) as two_rounds:
        eventually(lambda: hook.about(HEADINGS[name]))
        two_rounds()
        end(world)
        eventually(lambda: "end" in hook.about(HEADINGS[name]))
        two_rounds()
    closing()

    assert hook.about(HEADINGS[name]) == ["start", "end"]
    first, last = (each for each in hook.received if HEADINGS[name] in each["title"])
    assert all(f"{name} " in each["message"] for each in (first, last))
    for words in (*expected, "since 2", "docs/operations.md#"):
        assert words in first["message"]
    assert " until 2" in last["message"]


def test_a_queue_without_a_worker_is_told_once_and_its_end_too(world, settings, hook):
    settings = settings.model_copy(update={"alert_urls": Settings(alert_urls=hook.url).alert_urls})

    def ends() -> str:
        told = (each for each in hook.received if each["title"].endswith("(resolved)"))
        return "\n".join(each["message"] for each in told)

    with schedulers(settings) as two_rounds:
        eventually(lambda: hook.about(HEADINGS["NoWorker"]))
        two_rounds()
        closing = workers(world)
        eventually(lambda: all(f"NoWorker {queue}:" in ends() for queue in WORK))
        two_rounds()
    closing()

    # An evaluation may come between two of them, so their ends in several notifications.
    assert [ends().count(f"NoWorker {queue}:") for queue in WORK] == [1] * len(WORK)
    assert hook.about(HEADINGS["NoWorker"]).count("start") == 1
    message = hook.received[0]["message"]
    assert all(f"NoWorker {queue}: 0 workers" in message for queue in WORK)


def numbers(world: World, name: str) -> dict[str, str]:
    """Give what a rule finds now: of each subject its number, as people read it."""
    settings = Settings.model_validate({})
    with transaction(world.engine) as tx:
        rules = [rule for rule in RULES if rule.name == name]
        return {
            found.subject: found.number
            for found in evaluate(tx, None, settings, rules=rules).firing
        }


def test_a_429_is_known_by_its_status_and_not_by_its_text(app_alone):
    throttled(app_alone, reason="429 of something else", detail="{}")
    assert numbers(app_alone, "Throttled") == {}

    throttled(app_alone)
    assert numbers(app_alone, "Throttled") == {"all": "100%"}


@pytest.mark.parametrize(
    ("reason", "found"),
    [("429 Too many requests", {"all": "100%"}), ("429", {"all": "100%"}), ("4290 orders", {})],
)
def test_a_429_that_the_former_release_wrote_counts_with_a_body_and_without(
    app_alone, reason, found
):
    throttled(app_alone, reason=reason, detail=None)

    assert numbers(app_alone, "Throttled") == found


def test_a_lost_message_is_known_by_a_flag_and_that_of_the_former_release_by_its_text(app_alone):
    text = "RabbitMQ lost its message, or delivered it early"
    lost(app_alone, reason=text, detail="{}")
    lost(app_alone, reason="another", detail=None)
    assert numbers(app_alone, "MessagesLost") == {}

    lost(app_alone, reason=text, detail=None)
    [(_, of_the_former_release)] = numbers(app_alone, "MessagesLost").items()
    lost(app_alone)
    [(_, of_both)] = numbers(app_alone, "MessagesLost").items()
    assert (of_the_former_release, of_both) == ("30", "60")


@pytest.mark.parametrize(
    ("behind", "of_a_day", "found"),
    [
        (21, 0, {"sales": "100%"}),
        (21, 5, {"sales": "100%"}),
        (21, 84, {"sales": "25%"}),
        (21, 210, {}),
        (20, 0, {}),
    ],
)
def test_what_is_behind_is_never_more_than_all(app_alone, behind, of_a_day, found):
    jobs(app_alone, count=behind, status="pending", created_at="now() - INTERVAL '2 days'")
    if of_a_day:
        ids = [job.id for job in make_jobs(app_alone.engine, of_a_day)]
        app_alone.sql(
            "UPDATE ifood_jobs SET status = 'success', wake_at = NULL WHERE id = ANY(:ids)", ids=ids
        )

    assert numbers(app_alone, "RunBehind") == found


# --- waiting, flapping, failing ---------------------------------------------------------------


@pytest.fixture
def evaluator(engine, settings, hook) -> Callable[..., Evaluator]:
    def evaluator(
        *,
        wait: int = 0,
        calm: int = 0,
        urls: list[str] | None = None,
        names: Collection[str] = ("BreakerOpen",),
    ) -> Evaluator:
        waits, calms = timedelta(minutes=wait), timedelta(minutes=calm)
        rules = [replace(r, wait=waits, calm=calms) for r in RULES if r.name in names]
        notifier = Notifier([hook.url] if urls is None else urls)
        return Evaluator(
            engine,
            settings.model_copy(update={"broker_url": None}),
            notifier=notifier,
            rules=rules,
        )

    return evaluator


def pass_by(world: World, minutes: int) -> None:
    world.sql(
        "UPDATE ifood_alerts SET firing_since = firing_since - :by, last_seen = last_seen - :by,"
        " notified_at = notified_at - :by, resolved_at = resolved_at - :by,"
        " locked_until = locked_until - :by",
        by=timedelta(minutes=minutes),
    )


def test_what_is_over_before_its_wait_is_told_to_nobody(app_alone, evaluator, hook):
    waiting = evaluator(wait=5)
    for failures in (10, 0, 10, 0):
        limits(app_alone, failures)
        waiting.run()
        pass_by(app_alone, 3)

    assert hook.received == []


def test_what_lasts_longer_than_its_wait_is_told(app_alone, evaluator, hook):
    waiting = evaluator(wait=5)
    limits(app_alone, 10)
    waiting.run()
    assert hook.received == []
    pass_by(app_alone, 6)

    waiting.run()
    waiting.run()

    assert hook.about("iFood is away") == ["start"]


def test_a_value_that_flaps_is_one_alert(app_alone, evaluator, hook):
    calm = evaluator(calm=5)
    for failures in (10, 0, 10, 0, 10, 0):
        limits(app_alone, failures)
        calm.run()
        pass_by(app_alone, 3)
    assert hook.about("iFood is away") == ["start"]
    pass_by(app_alone, 3)

    calm.run()
    calm.run()

    assert hook.about("iFood is away") == ["start", "end"]


def test_what_starts_again_after_its_end_is_told_again(app_alone, evaluator, hook):
    each_time = evaluator()
    for failures in (10, 0, 10, 0):
        limits(app_alone, failures)
        each_time.run()

    assert hook.about("iFood is away") == ["start", "end", "start", "end"]


def test_a_delivery_that_fails_is_tried_again_until_it_succeeds(app_alone, evaluator, hook):
    limits(app_alone, 10)
    hook.refusing.set()
    evaluator().run()
    evaluator().run()
    assert hook.attempts == 2
    hook.refusing.clear()

    evaluator().run()
    evaluator().run()

    assert hook.about("iFood is away") == ["start"]


def test_only_the_address_that_refused_is_tried_again(app_alone, evaluator, hook):
    limits(app_alone, 10)
    with webhook() as other:
        both = evaluator(urls=[hook.url, other.url])
        hook.refusing.set()
        both.run()
        hook.refusing.clear()

        both.run()
        both.run()

        assert hook.about("iFood is away") == other.about("iFood is away") == ["start"]
        limits(app_alone, 0)
        both.run()
        assert hook.about("iFood is away") == other.about("iFood is away") == ["start", "end"]


def test_a_scheduler_that_dies_while_it_delivers_leaves_the_notification_to_the_others(
    app_alone, evaluator, hook
):
    limits(app_alone, 10)
    dying = evaluator()
    dying._deliver = lambda *_: (_ for _ in ()).throw(SystemExit)  # as a kill would
    with pytest.raises(SystemExit):
        dying.run()
    evaluator().run()
    assert hook.received == []
    pass_by(app_alone, 3)

    evaluator().run()

    assert hook.about("iFood is away") == ["start"]


def after_each_delivery(evaluator: Evaluator, then: Callable[[], None]) -> None:
    """Let this happen once a notification is out and before the evaluator has noted it."""
    deliver = evaluator._notifier.deliver

    def delivered(*args, **options):
        failed = deliver(*args, **options)
        then()
        return failed

    evaluator._notifier.deliver = delivered  # type: ignore[method-assign] # the one behind delivers


def test_what_ends_while_its_start_is_delivered_is_told_to_have_ended(app_alone, evaluator, hook):
    slow, other = evaluator(), evaluator()

    def over() -> None:
        limits(app_alone, 0)
        other.run()

    limits(app_alone, 10)
    after_each_delivery(slow, over)
    slow.run()
    for _ in range(2):
        other.run()
        slow.run()

    assert hook.about("iFood is away") == ["start", "end"]


def test_an_evaluation_that_another_overtakes_begins_nothing_anew(
    world, settings, hook, monkeypatch
):
    notifier = Notifier([hook.url])
    rules = [rule for rule in QUICK if rule.name == "DeadLetters"]
    slow, quick = (
        Evaluator(world.engine, settings, notifier=notifier, rules=rules) for _ in range(2)
    )
    query_queues = slow._rabbit

    def overtaken() -> Any:
        seen = query_queues()
        world.purge("ifood.sales.XQ")
        quick.run()
        return seen

    world.publish("ifood.sales.XQ")
    slow.run()
    monkeypatch.setattr(slow, "_rabbit", overtaken)
    slow.run()

    assert hook.about("Dead letters") == ["start", "end"]


def test_what_ended_in_an_evaluation_that_began_earlier_is_not_begun_anew(engine):
    [rule] = [rule for rule in QUICK if rule.name == "BreakerOpen"]
    seen = [FiringAlert(rule.name, "app", "", "12", "10", "")]
    with transaction(engine) as tx:
        first, second, third = (database_now(tx) for _ in range(3))

    def see(firing: list[FiringAlert], at: datetime) -> list[memory.EndedAlert]:
        with transaction(engine) as tx:
            return memory.remember(tx, firing, evaluated=[rule], at=at)

    see(seen, first)
    [ended] = see([], second)
    see(seen, third)  # what fired until just before `second` was remembered

    assert ended.subject == "app"
    with transaction(engine) as tx:
        assert tx.execute(text("SELECT FROM ifood_alerts WHERE resolved_at IS NULL")).all() == []


def test_a_slow_delivery_takes_no_time_from_that_of_the_next_rule(app_alone, evaluator, hook):
    names = ("BreakerOpen", "AuthorizationRefused")
    slow, other = evaluator(names=names), evaluator(names=names)

    def late() -> None:
        app_alone.sql("UPDATE ifood_alerts SET locked_until = locked_until - INTERVAL '90 s'")
        other.run()

    limits(app_alone, 10)
    authorization(app_alone, needs_authorization_since="now()")
    after_each_delivery(slow, late)
    slow.run()

    assert [hook.about(HEADINGS[name]) for name in names] == [["start"]] * 2


def test_whoever_sees_waits_for_whoever_tells_and_never_both_for_each_other(engine):
    [rule] = [rule for rule in RULES if rule.name == "NoWorker"]
    seen = [FiringAlert(rule.name, subject, "", "0", "1", "") for subject in ("a", "b")]

    def see() -> list[memory.EndedAlert]:
        with transaction(engine) as tx:
            return memory.remember(tx, seen, evaluated=[rule], at=database_now(tx))

    see()
    with transaction(engine) as tx:
        first, second = sorted(
            memory.take_notifications(tx, replace(rule, wait=timedelta(0))), key=str
        )
    with ThreadPoolExecutor() as threads:
        with transaction(engine) as tx:
            memory.note_delivery(tx, [second], owed_to=[], told=True)
            seeing = threads.submit(see)
            eventually(lambda: waits_for_a_lock(engine))
            memory.note_delivery(tx, [first], owed_to=[], told=True)

        assert seeing.result() == []


def test_a_broker_that_is_away_ends_no_alert(world, settings, hook):
    settings = settings.model_copy(update={"alert_urls": Settings(alert_urls=hook.url).alert_urls})
    notifier = Notifier([hook.url])
    [rule] = [rule for rule in QUICK if rule.name == "DeadLetters"]
    world.publish("ifood.sales.XQ")
    Evaluator(world.engine, settings, notifier=notifier, rules=[rule]).run()
    away = Settings(broker_url="amqp://guest:guest@127.0.0.1:1/").broker_url

    gone = settings.model_copy(update={"broker_url": away})
    Evaluator(world.engine, gone, notifier=notifier, rules=[rule]).run()

    assert hook.about("Dead letters") == ["start"]
