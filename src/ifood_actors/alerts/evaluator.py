"""One evaluation of the rules, and one tick of a scheduler: evaluate, remember, tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError

from ifood_actors.alerts import memory
from ifood_actors.alerts.memory import EndedAlert, Notification
from ifood_actors.alerts.notifications import Notifier, body_of, title_of
from ifood_actors.broker import QueueState, queue_states
from ifood_actors.config import Settings
from ifood_actors.db import database_now, reason_of, repeated, transaction
from ifood_actors.errors import ServiceUnavailable
from ifood_actors.figures import (
    ALL,
    RABBIT_UNUSABLE,
    RIGHT_MISSING,
    RULE_FAILED,
    RULES,
    AlertRule,
    FiringAlert,
    Sample,
    firing_alerts,
    read_samples,
)
from ifood_actors.logs import get_logger

log = get_logger(__name__)

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

Rabbit = Sequence[QueueState] | ServiceUnavailable | None
"""What RabbitMQ said of its queues, or why it said nothing; None where there is none to ask."""


@dataclass(frozen=True)
class Evaluation:
    """What fires now, and the rules that could be evaluated."""

    firing: list[FiringAlert]
    evaluated: list[AlertRule]


def evaluate(
    tx: Connection,
    rabbit: Rabbit,
    settings: Settings,
    *,
    rules: Sequence[AlertRule] = RULES,
    denied: Mapping[str, str] = NOTHING,
) -> Evaluation:
    """
    Evaluate the rules once, except for those that need queues of which nothing is known.

    `denied` has, for each tick of this scheduler that was denied a right, which one that is. A rule
    that fails at a value of some row hides no other: `RuleFailed`, evaluated last, tells of it.
    """
    failed: list[Sample] = []
    denials = [Sample(f"scheduler, {tick}", 1, {"reason": why}) for tick, why in denied.items()]
    reported = {RULE_FAILED: failed, RIGHT_MISSING: denials}
    if isinstance(rabbit, ServiceUnavailable):
        reported[RABBIT_UNUSABLE] = [Sample(ALL, 1, {"reason": str(rabbit)})]
    firing, evaluated = [], []
    for rule in sorted(rules, key=lambda rule: rule.name == RULE_FAILED):
        if _is_unknown(rule, rabbit):
            continue
        try:
            with tx.begin_nested():
                samples = [*reported.get(rule.name, ()), *queue_samples(rule, rabbit)]
                if rule.samples:
                    samples += read_samples(tx, rule.samples, settings)
                firing += firing_alerts(rule, samples, settings)
        # Also a value that is NULL, and a fact that the text names and the rows have not.
        except (DataError, ArithmeticError, ValueError, TypeError, KeyError) as error:
            reason = reason_of(error)
            log.exception("alerts.rule_failed", alert=rule.name, reason=reason)
            failed.append(Sample(rule.name, 1, {"reason": reason}))
        else:
            evaluated.append(rule)
    return Evaluation(firing, evaluated)


def queue_samples(rule: AlertRule, rabbit: Rabbit) -> list[Sample]:
    """Give the samples of a rule about queues: none for another rule, or without an answer."""
    if rabbit is None or isinstance(rabbit, ServiceUnavailable):
        return []
    return [
        Sample(queue.name, getattr(queue, rule.counted), {"ready": f"{queue.ready:,}"})
        for queue in rabbit
        if queue.name in rule.queues
    ]


def query_queues(settings: Settings) -> list[QueueState]:
    """Ask RabbitMQ. Raises ServiceUnavailable, and UsageError without a URL."""
    names = [name for rule in RULES for name in rule.queues]
    return queue_states(
        settings.require_broker_url(),
        names,
        connection_name="ifood-actors alerts",
        url_name="IFOOD_BROKER_URL",
    )


def _is_unknown(rule: AlertRule, rabbit: Rabbit) -> bool:
    if rule.name == RABBIT_UNUSABLE:
        return rabbit is None
    return bool(rule.queues) and (rabbit is None or isinstance(rabbit, ServiceUnavailable))


class Evaluator:
    """The scheduler's tick; several, on any number of hosts, notify of everything once."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        notifier: Notifier,
        rules: Sequence[AlertRule] = RULES,
        denied: Mapping[str, str] = NOTHING,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._notifier = notifier
        self._rules = rules
        self._denied = denied

    def run(self) -> None:
        """Evaluate, remember what fires, deliver what is owed."""
        at = repeated(self._engine, database_now)
        rabbit = self._rabbit()

        def remember(tx: Connection) -> list[EndedAlert]:
            denied = dict(self._denied)
            found = evaluate(tx, rabbit, self._settings, rules=self._rules, denied=denied)
            return memory.remember(tx, found.firing, evaluated=found.evaluated, at=at)

        for ended in repeated(self._engine, remember):
            log.info("alert.ended", alert=ended.name, subject=ended.subject, told=ended.told)
        self._tell()

    def _rabbit(self) -> Rabbit:
        if self._settings.broker_url is None:  # the demo's, in this process
            return None
        try:
            return query_queues(self._settings)
        except ServiceUnavailable as error:
            log.warning("alerts.queues_unknown", reason=str(error))
            return error

    def _tell(self) -> None:
        """
        Deliver with no transaction open; one message for all that a rule has to say.

        Rule by rule, so that a slow delivery takes no time from the lock of the next.
        """
        for rule in self._rules:
            with transaction(self._engine) as tx:
                owed = memory.take_notifications(tx, rule)
            for _, group in groupby(sorted(owed, key=_together), key=_together):
                self._deliver(rule, list(group))

    def _deliver(self, rule: AlertRule, notifications: list[Notification]) -> None:
        resolved = notifications[0].resolved_at is not None
        before = notifications[0].owed_to
        to = self._notifier.addresses if before is None else before
        for notification in notifications if before is None else ():
            _log(notification)
        failed = self._notifier.deliver(
            title_of(rule, notifications),
            body_of(rule, notifications, zone=self._settings.timezone),
            resolved=resolved,
            to=to,
        )
        if failed:
            log.warning("alerts.not_delivered", alert=rule.name, addresses=len(failed))
        told = not failed or len(failed) < len(to)
        with transaction(self._engine) as tx:
            memory.note_delivery(tx, notifications, owed_to=failed, told=told)


def _together(notification: Notification) -> tuple[bool, list[str]]:
    return notification.resolved_at is not None, notification.owed_to or []


def _log(notification: Notification) -> None:
    facts = {"alert": notification.name, "subject": notification.subject, **notification.details}
    if notification.resolved_at:
        log.info("alert.resolved", **facts)
    else:
        log.error("alert.firing", **facts)
