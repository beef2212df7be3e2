"""
What operators changed: one row for each change that a command made.

`note` writes it in the transaction that makes the change, so that there is neither without the
other. A trigger sets `at` and `login`, so that they cannot be forged; `actor` is what the program
says. Another trigger refuses to change a row, and to delete one that is less than 90 days old.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, Connection, Identity, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from ifood_actors.db import instant
from ifood_actors.forgetting import Swept, sweep
from ifood_actors.plain_text import printable

_LONGEST = 200  # characters of an actor and of a subject, as the table has it
_FEW = 20  # names that an act repeats; the rest is counted


class OperatorAct(SQLModel, table=True):
    """What one call of a command changed. Append-only, as the history of jobs."""

    __tablename__ = "ifood_operator_acts"
    __table_args__ = (
        CheckConstraint(
            "length(actor) BETWEEN 1 AND 200 AND length(act) BETWEEN 1 AND 60"
            " AND length(subject) <= 200 AND length(detail::text) <= 8000",
            name="bounded",
        ),
        CheckConstraint("concat(actor, act, subject) !~ '[[:cntrl:]]'", name="printable"),
    )

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    at: datetime = Field(sa_column=instant(nullable=False))
    login: str = Field(sa_column=Column(Text, nullable=False))
    actor: str = Field(sa_column=Column(Text, nullable=False))
    act: str = Field(sa_column=Column(Text, nullable=False))
    subject: str | None = Field(sa_column=Column(Text))
    detail: dict[str, Any] | None = Field(sa_column=Column(JSONB))


@dataclass(frozen=True, slots=True)
class ActRow:
    """An act as a list shows it."""

    at: datetime
    login: str
    actor: str
    act: str
    subject: str | None
    detail: dict[str, Any] | None


_NOTE = text("""
    INSERT INTO ifood_operator_acts (actor, act, subject, detail)
    VALUES (:actor, :act, :subject, CAST(:detail AS jsonb))
""")
_LIST = text("""
    SELECT at, login, actor, act, subject, detail FROM ifood_operator_acts
    WHERE CAST(:since AS interval) IS NULL OR at > statement_timestamp() - CAST(:since AS interval)
    ORDER BY id DESC LIMIT :limit
""")


def note(
    connection: Connection, act: str, *, actor: str, subject: str | None = None, **detail: object
) -> None:
    """
    Write what is being done, in the transaction that does it.

    `act` is the command, such as `apps add`; `subject` is what it changes, by the name that people
    know; `detail` is counts and names, and never a secret. Texts are input: what would act on a
    terminal is replaced, and what is longer than 200 characters is cut.
    """
    facts = {key: _bounded(fact) if isinstance(fact, str) else fact for key, fact in detail.items()}
    values = {
        "act": act,
        "actor": _bounded(actor),
        "subject": None if subject is None else _bounded(subject),
        "detail": json.dumps(facts, default=str) if facts else None,
    }
    connection.execute(_NOTE, values)


def few(names: Iterable[str]) -> list[str]:
    """Give the first twenty of names for `detail`, cut where they are long."""
    return [_bounded(name) for name in islice(names, _FEW)]


def latest(connection: Connection, *, since: timedelta | None, limit: int) -> list[ActRow]:
    """List acts, latest first; `since` is how far back."""
    rows = connection.execute(_LIST, {"since": since, "limit": limit})
    return [ActRow(**row) for row in rows.mappings()]


def forget_acts(connection: Connection, /, *, before: datetime, after: int) -> Swept:
    """Delete the acts before an instant; a trigger refuses one that is less than 90 days ago."""
    return sweep(connection, "ifood_operator_acts", by="at", before=before, after=after)


def _bounded(given: str) -> str:
    shown = printable(given)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
