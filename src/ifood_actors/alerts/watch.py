"""One look at everything that has a rule, and one round of a scheduler: look, remember, tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Final

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError

from ifood_actors.alerts import memory
from ifood_actors.alerts.memory import Ended, Notice
from ifood_actors.alerts.notifications import Notifier, body_of, title_of
from ifood_actors.broker.queues import QueueState, queue_states
from ifood_actors.config import Settings
from ifood_actors.db import database_now, reason_of, repeated, transaction
from ifood_actors.errors import ServiceUnavailable
from ifood_actors.figures.evaluation import Finding, Reading, Rule, evaluate
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
class Look:
    """What fires now, and the rules that could be evaluated."""

    findings: list[Finding]
    answered: list[Rule]


def look(
    tx: Connection,
    rabbit: Rabbit,
    settings: Settings,
    *,
    rules: Sequence[Rule] = RULES,
    denied: Mapping[str, str] = NOTHING,
) -> Look:
    """
    Evaluate the rules once, except for those that need queues of which nothing is known.

    `denied` says of each tick of this scheduler that was denied a right which one that is. A rule
    that fails at a value of some row hides no other, and is told of by one of its own.
    """
    findings, answered, failed = [], [], []
    for rule in rules:
        if rule.name == RULE_FAILED or not can_be_asked(rule.name, rabbit):
            continue
        try:
            with tx.begin_nested():
                readings = _ask(tx, rabbit, rule.name, settings, denied)
                findings += evaluate(rule, readings, settings)
        except (DataError, ArithmeticError, ValueError) as error:
            reason = reason_of(error)
            log.exception("alerts.rule_failed", alert=rule.name, reason=reason)
            failed.append(Reading(rule.name, 1, {"reason": reason}))
        else:
            answered.append(rule)
    for rule in rules:
        if rule.name == RULE_FAILED:
            findings += evaluate(rule, failed, settings)
            answered.append(rule)
    return Look(findings, answered)


def _ask(
    tx: Connection, rabbit: Rabbit, name: str, settings: Settings, denied: Mapping[str, str]
) -> list[Reading]:
    if name in ON_THE_BROKER:
        return ask_rabbit(rabbit, name)
    readings = ask_postgres(tx, name, settings)
    if name == "RightMissing":
        readings += [Reading(f"scheduler, {tick}", 1, {"reason": denied[tick]}) for tick in denied]
    return readings


def look_at_queues(settings: Settings) -> list[QueueState]:
    """Ask RabbitMQ. Raises ServiceUnavailable, and UsageError without a URL."""
    return queue_states(settings.require_broker_url(), queue_names())


class Watch:
    """The tick that watches; several of them, on any number of hosts, tell everything once."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        notifier: Notifier,
        rules: Sequence[Rule] = RULES,
        denied: Mapping[str, str] = NOTHING,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._notifier = notifier
        self._rules = rules
        self._denied = denied

    def run(self) -> None:
        """Look, remember what was seen, deliver what is owed."""
        at = repeated(self._engine, database_now)
        rabbit = self._rabbit()

        def remember(tx: Connection) -> list[Ended]:
            seen = look(tx, rabbit, self._settings, rules=self._rules, denied=dict(self._denied))
            return memory.see(tx, seen.findings, answered=seen.answered, at=at)

        for ended in repeated(self._engine, remember):
            log.info("alert.ended", alert=ended.name, subject=ended.subject, told=ended.told)
        self._tell()

    def _rabbit(self) -> Rabbit:
        if self._settings.broker_url is None:  # the demo's, in this process
            return None
        try:
            return look_at_queues(self._settings)
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
                owed = memory.take(tx, rule)
            for _, group in groupby(sorted(owed, key=_together), key=_together):
                self._deliver(rule, list(group))

    def _deliver(self, rule: Rule, notices: list[Notice]) -> None:
        resolved = notices[0].resolved_at is not None
        before = notices[0].owed_to
        to = self._notifier.addresses if before is None else before
        for notice in notices if before is None else ():
            _log(notice)
        failed = self._notifier.deliver(
            title_of(rule, notices),
            body_of(rule, notices, zone=self._settings.timezone),
            resolved=resolved,
            to=to,
        )
        if failed:
            log.warning("alerts.not_delivered", alert=rule.name, addresses=len(failed))
        told = not failed or len(failed) < len(to)
        with transaction(self._engine) as tx:
            memory.tell(tx, notices, owed_to=failed, told=told)


def _together(notice: Notice) -> tuple[bool, tuple[str, ...]]:
    return notice.resolved_at is not None, notice.owed_to or ()


def _log(notice: Notice) -> None:
    facts = {"alert": notice.name, "subject": notice.subject, **notice.details}
    if notice.resolved_at:
        log.info("alert.resolved", **facts)
    else:
        log.error("alert.firing", **facts)
