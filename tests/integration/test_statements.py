"""Every statement of `src` that has a name is allowed to each login whose process sends it."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import Engine, TextClause, text
from sqlalchemy.exc import DBAPIError
from support.logins import as_login

import ifood_actors
from ifood_actors.db import transaction
from ifood_actors.feeds import FEEDS
from ifood_actors.feeds.row_writing import known_keys_statement, upsert_statement
from ifood_actors.feeds.storing import known_statement, mark_statements
from ifood_actors.figures import FIGURES, RULES
from ifood_actors.ledger.statements import ActStatement

pytestmark = pytest.mark.services

READERS = "operator admin"
ASKING = "scheduler worker admin"  # who asks iFood
# Who sends the statements of a module, or one of them.
SENT_BY = {
    "accounts.linking": "admin",
    "accounts.presence": READERS,
    "accounts.registry": READERS,
    "accounts.registry._SWITCH": "admin",
    "accounts.registry._COUNT_ACTIVE": f"scheduler {READERS}",
    "accounts.spelling": "admin",
    "operator_acts": READERS,
    "operator_acts._NOTE": "admin",
    "alerts.memory": "scheduler",
    "cli.work.apps": "admin",
    "cli.work.ifood": "admin",
    "cli.work.jobs": READERS,
    "db": f"{ASKING} operator",
    "delivery.lifeline": "worker",
    "feeds.rejected": "worker",
    "feeds.rejected._LIST": READERS,
    "feeds.record_retention": "scheduler",
    "feeds.storing": "worker",
    "feeds.complete_pulls": "worker",
    "feeds.row_writing": "worker",
    "ifood.tokens.token_statements": ASKING,
    "ifood.tokens.authorize": "admin",
    "ifood.limiter.snapshots": ASKING,
    "ifood.limiter.limit_statements": ASKING,
    "ifood.limiter.named_limits": f"scheduler {READERS}",
    "ifood.limiter.usage": READERS,
    "ledger.holders": "scheduler",
    "ledger.left_out": "scheduler admin",
    "ledger.lost_messages": "scheduler",
    "ledger.history_retention": "scheduler",
    "ledger.statements": "worker",
    **{
        f"ledger.statements.{name}": "scheduler"
        for name in ("DUE", "PROBE", "DISPATCH", "UNDER_WAY", "HOLD", "RESCUE", "RESCUE_AS_FAILED")
    },
    **{
        f"ledger.statements.{name}": "scheduler admin"
        for name in ("START_RUN", "COUNT_PLANNED", "PLAN")
    },
    "ledger.statements.CANCEL": "worker admin",
    "ledger.statements.PARK": "scheduler worker admin",
    "ledger.statements.REQUEUE": "admin",
    "renewal.token_states": f"scheduler {READERS}",
    "renewal.token_states._HELD": "scheduler admin",  # `apps tokens` looks whether there are any
    "planning.planner": f"scheduler {READERS}",
    "scheduler.heartbeat": "scheduler",
    "figures.alerts": f"scheduler {READERS}",
    "figures.gauges": "web",
}
# They have no login of their own, or are no statements that can be explained.
APART = ("demo", "embedded", "simulator", "migrations")
NOT_EXPLAINED = {
    "db._FOR_LONG",
    "web.collector._STATEMENT_TIMEOUT",
    *("session._PIN", "session._PID"),  # each session has them from its start
    # Beginnings of statements that stand here, too.
    *("figures.ifood_figures._HELD", "ifood.tokens.token_statements._FREE"),
    "ledger.statements._DUE",
}
STATEMENT = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b")


def statements() -> Iterator[tuple[str, str]]:
    """Give every statement, by the place where it is."""
    for module in pkgutil.walk_packages(ifood_actors.__path__, "ifood_actors."):
        place = module.name.removeprefix("ifood_actors.")
        if place.startswith(APART) or place == "__main__":
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, ActStatement):
                yield f"{place}.{name}", value.sql.text
            elif isinstance(value, TextClause):
                yield f"{place}.{name}", value.text
            elif isinstance(value, str) and STATEMENT.match(value):
                yield f"{place}.{name}", value
    yield from ((f"figures.alerts.{rule.name}", rule.samples) for rule in RULES if rule.samples)
    yield from ((f"figures.gauges.{each.name}", each.query.statement) for each in FIGURES)
    for feed in FEEDS.values():
        name = feed.kind.name
        yield f"feeds.row_writing.known keys of {name}", known_keys_statement(feed.table).text
        yield f"feeds.row_writing.upsert of {name}", upsert_statement(feed.table).text
        yield f"feeds.storing.known {name}", known_statement(feed.table).text
        for mark in mark_statements(feed.table):
            yield f"feeds.storing.mark of {name}", mark.text


def senders(place: str) -> list[str]:
    found = SENT_BY.get(place) or SENT_BY.get(place.rpartition(".")[0])
    assert found, f"who sends {place}? name the logins in SENT_BY, and grant what it needs"
    return found.split()


def test_every_sender_sends_something():
    found = {place for place, _ in statements() if place not in NOT_EXPLAINED}
    known = {name for place in found for name in (place, place.rpartition(".")[0])}

    assert SENT_BY.keys() - known == set()


def explain(engine: Engine, statement: str) -> None:
    """Have Postgres plan it, with nothing for each value; from an instant it takes a span."""
    # A lock has no plan, and does no harm.
    wanted = text(statement if statement.startswith("LOCK TABLE") else f"EXPLAIN {statement}")
    values = {
        name: timedelta() if f"- :{name}" in statement else None for name in wanted.compile().params
    }
    with transaction(engine) as tx:
        tx.execute(wanted, values)


@pytest.mark.parametrize("role", ["scheduler", "worker", "web", "operator", "admin"])
def test_a_login_may_send_every_statement_of_its_process(engine, role):
    """Postgres looks at the rights when it plans: nothing has to be there, and nothing is done."""
    denied, explained = {}, 0
    for place, statement in statements():
        if place in NOT_EXPLAINED or role not in senders(place):
            continue
        try:
            explain(as_login(engine, role), statement)
            explained += 1
        except DBAPIError as error:
            denied[place] = str(error.orig)

    assert denied == {}
    assert explained >= 15


def test_a_missing_right_is_noticed_without_a_row_in_any_table(engine):
    with transaction(engine) as tx:
        tx.execute(text("REVOKE UPDATE (created_by) ON ifood_runs FROM ifood_scheduler"))
    [start_run] = [each for place, each in statements() if place.endswith(".START_RUN")]

    with pytest.raises(DBAPIError) as refused:
        explain(as_login(engine, "scheduler"), start_run)

    assert isinstance(refused.value.orig, psycopg.errors.InsufficientPrivilege)
