"""
The alert rules as data; `samples.py` asks for the numbers, `evaluation.py` compares them.

infra/prometheus/rules.yml holds the same conditions, and docs/operations.md what to do about each.
"""

import operator
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from ifood_actors.config import Settings
from ifood_actors.figures.evaluation import LONG, SHORT, AlertRule
from ifood_actors.ifood.thresholds import BREAKER_OPENS_AFTER, SEVERAL
from ifood_actors.renewal.policy import EXPIRING

_BEHIND_SHARE = 0.10
_OVERDUE = timedelta(minutes=30)
# A tick of the planner, and the transaction of a very large run.
_UNPLANNED = timedelta(minutes=2)
_SILENT = timedelta(minutes=2)
_THROTTLED_SHARE = 0.10
_WASTED_SHARE = 0.10
_HISTORY_BYTES = 20 * 2**30
# One or two stores may lose what they had; more at once are rather an answer that is wrong.
_VANISHED_STORES = 2


def _at(limit: float) -> Callable[[Settings], float]:
    return lambda _: limit


RULES: Final = (
    AlertRule(
        "JobsPending",
        "Too many pending jobs",
        "{number} jobs are pending, and the first of them should have started",
        lambda settings: settings.alert_pending_max,
        wait=SHORT,
    ),
    AlertRule(
        "JobsFailed",
        "Too many failed jobs",
        "{number} jobs of the last 24 hours have failed",
        lambda settings: settings.alert_failed_max,
        calm=LONG,
    ),
    AlertRule(
        "FailureRate",
        "High failure rate",
        "{number} of the jobs of the last 24 hours have failed: {failed} of {jobs}",
        lambda settings: settings.alert_failure_rate.of_one,
        unit="share",
        wait=SHORT,
        calm=LONG,
    ),
    AlertRule(
        "RunBehind",
        "A run is behind its schedule",
        "{behind} jobs should have started and have not ended: {number} of those of a day",
        _at(_BEHIND_SHARE),
        unit="share",
        wait=timedelta(minutes=15),
    ),
    AlertRule(
        "JobOverdue",
        "A job is overdue",
        "{what} {number} ago",
        _at(_OVERDUE.total_seconds()),
        unit="seconds",
        wait=SHORT,
    ),
    AlertRule(
        "WindowWithoutRun",
        "A window without a run",
        "the window of {day} opened {number} ago, and no scheduler has planned its run",
        _at(_UNPLANNED.total_seconds()),
        unit="seconds",
        wait=timedelta(minutes=3),
    ),
    AlertRule(
        "SchedulerSilent",
        "A scheduler is silent",
        "no sign of life for {number}",
        _at(_SILENT.total_seconds()),
        unit="seconds",
    ),
    AlertRule(
        "RightMissing",
        "A right is missing",
        "{reason}",
        _at(0),
    ),
    AlertRule(
        "RuleFailed",
        "A rule cannot be evaluated",
        "the rule cannot be evaluated, so that nobody would be told: {reason}",
        _at(0),
    ),
    AlertRule(
        "NoWorker",
        "No worker on a queue",
        "{number} workers take messages, {ready} messages wait",
        _at(1),
        fires=operator.lt,
        wait=timedelta(minutes=2),
        calm=timedelta(minutes=1),
    ),
    AlertRule(
        "DeadLetters",
        "Dead letters",
        "{number} messages could not be taken by any worker",
        _at(0),
    ),
    AlertRule(
        "UnroutableOrders",
        "Unroutable messages",
        "{number} messages left the delay ladder and found no queue",
        _at(0),
    ),
    AlertRule(
        "MessagesLost",
        "Messages are lost",
        "{number} messages of the last 15 minutes were lost or came early, as by a purge or by a "
        "policy of RabbitMQ that sets message-ttl, max-length or expires",
        _at(0),
    ),
    AlertRule(
        "HistoryAtOdds",
        "Jobs at odds with their history",
        "{number} jobs are not where their history ends, so that no act on them is possible, such "
        "as {jobs}",
        _at(0),
    ),
    AlertRule(
        "RabbitUnusable",
        "RabbitMQ cannot be used",
        "{reason}",
        _at(0),
        wait=timedelta(minutes=2),
        calm=timedelta(minutes=1),
    ),
    AlertRule(
        "AuthorizationExpiring",
        "An authorization is about to end",
        "its refresh token ends in {number}, and nobody could renew it",
        _at(EXPIRING.total_seconds()),
        unit="seconds",
        fires=operator.lt,
        wait=SHORT,
    ),
    AlertRule(
        "AuthorizationRefused",
        "iFood refuses an authorization",
        "iFood has refused it for {number}: {reason}",
        _at(0),
        unit="seconds",
        fires=operator.ge,
        calm=timedelta(minutes=1),
    ),
    AlertRule(
        "ApplicationRefused",
        "iFood refuses an application",
        "iFood has refused {number} authorizations in a row, and is asked for one token a minute: "
        "{reason}",
        _at(SEVERAL - 1),
        calm=timedelta(minutes=1),
    ),
    AlertRule(
        "SecretsUnreadable",
        "A host lacks a key",
        "secrets of {number} authorizations could not be decrypted there within 15 minutes: its "
        "IFOOD_ENCRYPTION_KEYS lack a key",
        _at(0),
    ),
    AlertRule(
        "Throttled",
        "iFood throttles",
        "{number} of the requests of the last 15 minutes were answered by 429",
        _at(_THROTTLED_SHARE),
        unit="share",
        wait=SHORT,
        calm=LONG,
    ),
    AlertRule(
        "BreakerOpen",
        "iFood is away",
        "the breaker is open since {number} deliveries in a row have failed at iFood",
        _at(BREAKER_OPENS_AFTER),
        fires=operator.ge,
    ),
    AlertRule(
        "ApplicationBlocked",
        "An application is blocked",
        "a gateway has refused all requests of the application for {number}: {reason}",
        _at(0),
        unit="seconds",
        fires=operator.ge,
    ),
    AlertRule(
        "AccountsStale",
        "Accounts without fresh data",
        "{number} active accounts have no fresh data, such as {accounts}",
        _at(0),
        wait=timedelta(minutes=30),
        calm=LONG,
    ),
    AlertRule(
        "RowsVanished",
        "Rows vanished in several stores",
        "{number} stores of the run of {day} did not bring all or most of the rows that were "
        "known, {rows} rows in all",
        _at(_VANISHED_STORES),
        calm=LONG,
    ),
    AlertRule(
        "RequestsWasted",
        "Many requests are answered by 404",
        "{number} of the requests of the last 24 hours were answered by 404: {wasted} of "
        "{requests}",
        _at(_WASTED_SHARE),
        unit="share",
        wait=SHORT,
        calm=LONG,
    ),
    AlertRule(
        "ItemsRejected",
        "Items that cannot be read",
        "{number} items of {stores} stores could not be read exactly and are set aside",
        _at(0),
        calm=LONG,
    ),
    AlertRule(
        "PullsIncomplete",
        "Pulls that are not complete",
        "of {number} active accounts the last two pulls were not complete, such as {accounts}",
        _at(0),
        calm=LONG,
    ),
    AlertRule(
        "HistoryLarge",
        "The history is large",
        "the table of the history takes {number}",
        _at(_HISTORY_BYTES),
        unit="bytes",
        wait=SHORT,
        calm=LONG,
    ),
)
