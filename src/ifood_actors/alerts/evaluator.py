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
from ifood_actors.broker.queues import QueueState, queue_states
from ifood_actors.config import Settings
from ifood_actors.db import database_now, reason_of, repeated, transaction
from ifood_actors.errors import ServiceUnavailable
from ifood_actors.figures.evaluation import AlertRule, FiringAlert, Sample, firing_alerts
from ifood_actors.figures.rules import RULES
from ifood_actors.figures.samples import (
    ON_THE_BROKER,
    RULE_FAILED,
    Rabbit,
    ask_postgres,
    ask_rabbit,
    can_be_asked,
    queue_names,
)
from ifood_actors.logs import get_logger

log = get_logger(__name__)

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


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

    `denied` says of each tick of this scheduler that was denied a right which one that is. A rule
    that fails at a value of some row hides no other, and is told of by one of its own.
    """
    firing, evaluated, failed = [], [], []
    for rule in rules:
        if rule.name == RULE_FAILED or not can_be_asked(rule.name, rabbit):
            continue
        try:
            with tx.begin_nested():
                samples = _samples(tx, rabbit, rule.name, settings, denied)
                firing += firing_alerts(rule, samples, settings)
        except (DataError, ArithmeticError, ValueError) as error:
            reason = reason_of(error)
            log.exception("alerts.rule_failed", alert=rule.name, reason=reason)
            failed.append(Sample(rule.name, 1, {"reason": reason}))
        else:
            evaluated.append(rule)
    for rule in rules:
        if rule.name == RULE_FAILED:
            firing += firing_alerts(rule, failed, settings)
            evaluated.append(rule)
    return Evaluation(firing, evaluated)


def _samples(
    tx: Connection, rabbit: Rabbit, name: str, settings: Settings, denied: Mapping[str, str]
) -> list[Sample]:
    if name in ON_THE_BROKER:
        return ask_rabbit(rabbit, name)
    samples = ask_postgres(tx, name, settings)
    if name == "RightMissing":
        samples += [Sample(f"scheduler, {tick}", 1, {"reason": denied[tick]}) for tick in denied]
    return samples


def query_queues(settings: Settings) -> list[QueueState]:
    """Ask RabbitMQ. Raises ServiceUnavailable, and UsageError without a URL."""
    return queue_states(settings.require_broker_url(), queue_names())


class Evaluator:
    """The tick that watches; several of them, on any number of hosts, tell everything once."""

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


def _together(notification: Notification) -> tuple[bool, tuple[str, ...]]:
    return notification.resolved_at is not None, notification.owed_to or ()


def _log(notification: Notification) -> None:
    facts = {"alert": notification.name, "subject": notification.subject, **notification.details}
    if notification.resolved_at:
        log.info("alert.resolved", **facts)
    else:
        log.error("alert.firing", **facts)
