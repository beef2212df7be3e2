"""
Statements that are sent to Postgres together, and answered together: one round trip for all.

An `execute` of SQLAlchemy's is a round trip of its own, with `BEGIN` and `COMMIT` two more, and
costs a worker more CPU than most statements cost Postgres. So what a busy worker does for every job
goes through here: prepared once a session, sent by libpq's pipeline. Each statement has a snapshot
of its own, as always in READ COMMITTED. After one that fails, Postgres skips the others, a COMMIT
included.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, Final, TypeAlias

from psycopg import abc
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.generators import fetch_many, send
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult
from sqlalchemy import Connection, TextClause

from ifood_actors.db import driver
from ifood_actors.session import TimedConnection

_Values: TypeAlias = Sequence[abc.Buffer | None]
Statement: TypeAlias = tuple[TextClause, Mapping[str, object]]
"""A statement, and what it binds, by name."""

Rows: TypeAlias = list[dict[str, Any]]
"""Rows of one statement, each by column name."""

_NAME: Final = re.compile(r"(?<![:\w]):(\w+)(?!:)")
# Not prepared: they cost Postgres nothing, and who reads the bytes on the wire finds them.
_BEGIN: Final = b"BEGIN ISOLATION LEVEL READ COMMITTED"
_COMMIT: Final = b"COMMIT"


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement with `$1` for its first name: what libpq prepares, and calls by `key`."""

    key: bytes
    sql: bytes
    names: tuple[str, ...]


@cache
def _prepared(text: str) -> _Prepared:
    names = tuple(dict.fromkeys(_NAME.findall(text)))
    sql = _NAME.sub(lambda match: f"${names.index(match[1]) + 1}", text).encode()
    return _Prepared(b"ifood_" + sha256(sql).hexdigest()[:16].encode(), sql, names)


def ask(connection: Connection, *statements: Statement) -> list[Rows]:
    """
    Execute statements in one round trip; return the rows of each.

    Their parameters have the types that Postgres finds. Raises what `Connection.execute` raises;
    then none of the statements counts.
    """
    return _ask(connection, statements, commit=False)


def ask_and_commit(connection: Connection, *statements: Statement) -> list[Rows]:
    """
    Do as `ask` does, and commit the transaction in the same round trip, if no statement fails.

    What is executed later begins another transaction, which the end of the caller's block commits.
    """
    return _ask(connection, statements, commit=True)


def _ask(connection: Connection, statements: Sequence[Statement], *, commit: bool) -> list[Rows]:
    with driver(connection) as session:
        transformer = Transformer(session)
        bound = [_bound(statement, transformer) for statement in statements]
        results = _exchange(session, bound, commit=commit)
        return [_rows(result, transformer) for result in results]


def _bound(statement: Statement, transformer: abc.Transformer) -> tuple[_Prepared, _Values]:
    text, values = statement
    prepared = _prepared(text.text)
    bound = [values[name] for name in prepared.names]
    return prepared, transformer.dump_sequence(bound, [PyFormat.TEXT] * len(bound))


def _exchange(
    session: TimedConnection, bound: Sequence[tuple[_Prepared, _Values]], *, commit: bool
) -> list[PGresult]:
    """Send all, and what must be prepared before; return the result of each statement."""
    known, pgconn = session.prepared_here, session.pgconn
    new = {one.key: one for one, _ in bound if one.key not in known}
    begin = pgconn.transaction_status == TransactionStatus.IDLE
    pgconn.enter_pipeline_mode()
    try:
        for one in new.values():
            pgconn.send_prepare(one.key, one.sql)
        if begin:
            pgconn.send_query_params(_BEGIN, None)
        for one, values in bound:
            pgconn.send_query_prepared(one.key, values)
        if commit:
            pgconn.send_query_params(_COMMIT, None)
        pgconn.pipeline_sync()
        results = session.wait(_answers(pgconn))
        pgconn.exit_pipeline_mode()
    finally:
        # Interrupted: what is left unread would be taken for the answer to the next statement.
        if pgconn.pipeline_status:
            session.close()
    known.update(
        key for key, one in zip(new, results, strict=False) if one.status == ExecStatus.COMMAND_OK
    )
    for result in results:
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
    first = len(new) + begin
    return results[first : first + len(bound)]


def _answers(pgconn: PGconn) -> PQGen[list[PGresult]]:
    yield from send(pgconn)
    results: list[PGresult] = []
    while (answer := (yield from fetch_many(pgconn)))[0].status != ExecStatus.PIPELINE_SYNC:
        results += answer
    return results


def _rows(result: PGresult, transformer: abc.Transformer) -> Rows:
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    transformer.set_pgresult(result)
    return transformer.load_rows(
        0, result.ntuples, lambda values: dict(zip(names, values, strict=True))
    )
