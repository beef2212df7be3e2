"""The acts of operators: written with what they tell of, and never changed."""

from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ifood_actors import operator_acts
from ifood_actors.config import Settings
from ifood_actors.db import database_now, transaction
from ifood_actors.operator_acts import latest, note
from ifood_actors.scheduler.retention import Retention

pytestmark = pytest.mark.services

ACTOR = "cli maria@host"


def noted(engine):
    with transaction(engine) as tx:
        return latest(tx, since=None, limit=100)


def leave(engine, act="apps add", **detail):
    with transaction(engine) as tx:
        note(tx, act, actor=ACTOR, subject="bookshop", **detail)


def age(engine, by):
    with transaction(engine) as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        tx.execute(text("UPDATE ifood_operator_acts SET at = at - :by"), {"by": by})


def test_an_act_tells_who_did_what_to_what(engine):
    leave(engine, kind="distributed", accounts=3)

    [act] = noted(engine)
    assert (act.actor, act.act, act.subject) == (ACTOR, "apps add", "bookshop")
    assert act.detail == {"kind": "distributed", "accounts": 3}


def test_a_change_that_fails_leaves_no_act(engine):
    def fail():
        with transaction(engine) as tx:
            note(tx, "apps add", actor=ACTOR)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert noted(engine) == []


def test_the_instant_and_the_login_of_an_act_cannot_be_chosen_not_even_by_a_superuser(engine):
    forged = text("""
        INSERT INTO ifood_operator_acts (at, login, actor, act)
        VALUES ('2020-01-01', 'joao', 'cli joao@host', 'apps add')
    """)
    with transaction(engine) as tx:
        before = database_now(tx)
        tx.execute(forged)
        user = tx.execute(text("SELECT session_user")).scalar_one()

    [act] = noted(engine)
    assert act.login == user != "joao"
    assert before < act.at < before + timedelta(minutes=5)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ifood_operator_acts SET actor = 'cli joao@host'",
        "UPDATE ifood_operator_acts SET at = at - interval '1 year'",
        "DELETE FROM ifood_operator_acts",
        "TRUNCATE ifood_operator_acts",
        "TRUNCATE ifood_operator_acts CASCADE",
    ],
)
def test_the_acts_are_append_only_for_a_superuser_too(engine, change):
    leave(engine)
    kept = noted(engine)

    with pytest.raises(DBAPIError, match="append-only"), transaction(engine) as tx:
        tx.execute(text(change))

    assert noted(engine) == kept


@pytest.mark.parametrize("odd", ["\n", "\x1b", "\x00", "\u202e", "\udcff"])
def test_what_would_act_on_a_terminal_or_end_a_line_is_in_no_act(engine, odd):
    with transaction(engine) as tx:
        names = operator_acts.few([f"store{odd}"])
        note(tx, "apps add", actor=f"cli{odd}", subject=f"book{odd}", kind=f"x{odd}", names=names)

    [act] = noted(engine)
    assert act.detail == {"kind": "x\ufffd", "names": ["store\ufffd"]}
    assert (act.actor, act.subject) == ("cli\ufffd", "book\ufffd")


def test_an_act_has_a_bounded_length_whatever_is_given(engine):
    with transaction(engine) as tx:
        note(tx, "apps add", actor="m" * 9000, subject="b" * 9000)
        names = operator_acts.few(["ç" * 9000] * 9000)
        note(tx, "accounts enable", actor=ACTOR, names=names)

    second, first = noted(engine)
    assert (len(first.actor), len(first.subject or "")) == (200, 200)
    assert second.detail == {"names": ["ç" * 199 + "…"] * 20}


@pytest.mark.parametrize(
    "values",
    [
        "('cli x', 'apps add', 'a' || chr(10))",
        "(chr(27), 'apps add', NULL)",
        "('', 'apps add', NULL)",
        "('cli x', '', NULL)",
        "('cli x', repeat('x', 61), NULL)",
        "(repeat('x', 201), 'apps add', NULL)",
    ],
)
def test_what_is_written_by_sql_is_as_short_and_as_plain(engine, values):
    statement = text(f"INSERT INTO ifood_operator_acts (actor, act, subject) VALUES {values}")

    with pytest.raises(DBAPIError, match="ck_ifood_operator_acts"), transaction(engine) as tx:
        tx.execute(statement)


def test_acts_are_kept_as_long_as_the_history_and_then_forgotten(engine):
    settings = Settings.model_validate({"keep_history": timedelta(days=100)})
    leave(engine, "apps add")
    age(engine, timedelta(days=2))
    leave(engine, "limits reset")
    age(engine, timedelta(days=99))

    Retention(engine, settings, stopping=Event()).run()

    assert [act.act for act in noted(engine)] == ["limits reset"]


def test_no_statement_deletes_an_act_of_the_last_90_days(engine):
    leave(engine)
    age(engine, timedelta(days=89))

    with pytest.raises(DBAPIError, match="append-only, and kept"), transaction(engine) as tx:
        tx.execute(text("DELETE FROM ifood_operator_acts"))


def test_how_far_back_is_said_by_the_clock_of_postgres(engine):
    leave(engine, "apps add")
    age(engine, timedelta(hours=3))
    leave(engine, "limits reset")

    with transaction(engine) as tx:
        found = latest(tx, since=timedelta(hours=1), limit=100)
        newest = latest(tx, since=None, limit=1)

    assert [act.act for act in found] == [act.act for act in newest] == ["limits reset"]
