"""The rules: when they fire, what they say, and that Prometheus has the same ones."""

import re
from pathlib import Path

import pytest
import yaml

from ifood_actors.alerts import Notifier
from ifood_actors.alerts.evaluator import queue_samples
from ifood_actors.broker.queues import QueueState
from ifood_actors.config import Settings
from ifood_actors.errors import UsageError
from ifood_actors.figures import FIGURES, RULES, AlertRule, Sample, firing_alerts
from ifood_actors.figures.ifood_figures import _HELD
from ifood_actors.notation import parse_duration

INFRA = Path(__file__).parents[2] / "infra" / "prometheus"
PROMETHEUS = {
    each["alert"]: each
    for group in yaml.safe_load((INFRA / "rules.yml").read_text())["groups"]
    for each in group["rules"]
}
FACTS = {"failed": 6, "jobs": 9, "behind": 7, "ready": "3", "reason": "revoked", "accounts": "A"}
FACTS |= {
    "day": "2026-09-22",
    "rows": 831,
    "wasted": 3,
    "requests": 25,
    "stores": 2,
    "what": "it began",
    "refused_reason": "revoked",
    "blocked_by": '403 HTML page "Blocked"',
}
by_name = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def named(name: str) -> AlertRule:
    return next(rule for rule in RULES if rule.name == name)


@pytest.mark.parametrize(
    ("name", "quiet", "firing"),
    [
        ("JobsPending", 500, 501),
        ("JobsFailed", 50, 51),
        ("FailureRate", 0.05, 0.051),
        ("RunBehind", 0.1, 0.11),
        ("JobOverdue", 1800, 1801),
        ("WindowWithoutRun", 120, 121),
        ("SchedulerSilent", 120, 121),
        ("RightMissing", 0, 1),
        ("RuleFailed", 0, 1),
        ("NoWorker", 1, 0),
        ("DeadLetters", 0, 1),
        ("UnroutableOrders", 0, 1),
        ("MessagesLost", 0, 1),
        ("HistoryAtOdds", 0, 1),
        ("RabbitUnusable", 0, 1),
        ("AuthorizationExpiring", 36 * 3600, 36 * 3600 - 1),
        ("ApplicationRefused", 2, 3),
        ("SecretsUnreadable", 0, 1),
        ("Throttled", 0.1, 0.11),
        ("BreakerOpen", 9, 10),
        ("AccountsStale", 0, 1),
        ("RowsVanished", 2, 3),
        ("RequestsWasted", 0.1, 0.11),
        ("ItemsRejected", 0, 1),
        ("PullsIncomplete", 0, 1),
        ("HistoryLarge", 20 * 2**30, 20 * 2**30 + 1),
    ],
)
def test_a_rule_fires_just_beyond_its_limit(name, quiet, firing):
    samples = [Sample("quiet", quiet, FACTS), Sample("firing", firing, FACTS)]

    found = firing_alerts(named(name), samples, Settings())

    assert [alert.subject for alert in found] == ["firing"]


def test_an_authorization_that_is_refused_fires_at_once():
    [found] = firing_alerts(named("AuthorizationRefused"), [Sample("a, b", 0, FACTS)], Settings())

    assert found.text == "iFood has refused it for 0: revoked"


def test_an_application_that_is_blocked_fires_at_once_and_says_by_what():
    [found] = firing_alerts(named("ApplicationBlocked"), [Sample("app", 60, FACTS)], Settings())

    assert found.text == (
        'a gateway has refused all requests of the application for 1m: 403 HTML page "Blocked"'
    )


def test_limits_are_those_of_the_settings():
    settings = Settings.model_validate(
        {"alert_pending_max": 3, "alert_failed_max": 4, "alert_failure_rate": "12.5%"}
    )

    assert [rule.limit(settings) for rule in RULES[:3]] == [3, 4, 0.125]


def test_a_firing_alert_tells_number_limit_and_where_to_read_on():
    [found] = firing_alerts(named("FailureRate"), [Sample("sales", 6 / 9, FACTS)], Settings())

    assert found.text == "66.67% of the jobs of the last 24 hours have failed: 6 of 9"
    assert (found.number, found.limit) == ("66.67%", "5%")
    assert found.manual == "docs/operations.md#high-failure-rate"


@pytest.mark.parametrize(
    ("share", "read"),
    [(0.05, "5%"), (0.1004, "10.04%"), (2 / 3, "66.67%"), (0.9996, "99.96%"), (1, "100%")],
)
def test_a_share_is_read_without_rounding_it_to_its_limit(share, read):
    [found] = firing_alerts(
        named("FailureRate"), [Sample("sales", share, FACTS)], Settings(alert_failure_rate="1%")
    )

    assert found.number == read


@by_name
def test_every_rule_has_its_samples(rule):
    assert [bool(rule.samples) or rule.reported, bool(rule.queues)].count(True) == 1


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.name)
def test_an_alert_reads_the_statement_that_is_exported(figure):
    shared = _HELD if figure.name == "ifood_authorizations" else figure.query.statement

    assert shared in figure.query.statement
    assert all(shared in rule.samples for rule in figure.rules if not rule.reported)


def test_each_rule_about_queues_counts_its_own():
    names = ("ifood.sales", "ifood.sales.XQ", "delay.v1.unroutable")
    queues = [QueueState(name, ready=number, consumers=0) for number, name in enumerate(names, 5)]

    counted = {
        rule.name: [(sample.subject, sample.value) for sample in queue_samples(rule, queues)]
        for rule in RULES
        if rule.queues
    }

    assert counted == {
        "NoWorker": [("ifood.sales", 0)],
        "DeadLetters": [("ifood.sales.XQ", 6)],
        "UnroutableOrders": [("delay.v1.unroutable", 7)],
    }


def test_an_address_that_apprise_does_not_know_is_named_by_its_number_only():
    with pytest.raises(UsageError) as error:
        Notifier(["json://127.0.0.1/a", "nonsense://hunter2@host"])

    assert str(error.value) == "IFOOD_ALERT_URLS: Apprise does not know what number 2 is"


# --- Prometheus -------------------------------------------------------------------------------


def test_prometheus_has_the_same_rules():
    assert list(PROMETHEUS) == [rule.name for rule in RULES]


@by_name
def test_prometheus_waits_as_long(rule):
    theirs = PROMETHEUS[rule.name]

    assert parse_duration(theirs.get("for", "0")) == rule.wait
    assert parse_duration(theirs.get("keep_firing_for", "0")) == rule.calm


@by_name
def test_prometheus_has_the_same_limit(rule):
    limit = rule.limit(Settings())
    # What is a number of a state there is a number of seconds or failures here.
    limit = {"AuthorizationExpiring": 0, "BreakerOpen": 0}.get(rule.name, limit)

    assert re.search(rf"[<>] {limit:.12g}$", PROMETHEUS[rule.name]["expr"], re.MULTILINE)


@by_name
def test_prometheus_leads_to_the_same_heading_and_tests_the_alert(rule):
    tests = yaml.safe_load((INFRA / "rules.test.yml").read_text())["tests"]
    [case] = [each for each in tests if each["name"] == rule.name]

    assert PROMETHEUS[rule.name]["annotations"]["runbook"] == rule.manual
    fires = [bool(at["exp_alerts"]) for at in case["alert_rule_test"]]
    assert (fires[0], any(fires), fires[-1]) == (False, True, False)
