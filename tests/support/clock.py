"""Waiting, in the only place where a test waits, and a clock of Postgres that a test moves."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sqlalchemy import Engine, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection

T = TypeVar("T")
PATIENCE_SECONDS = 120  # longer than anything takes on a busy machine: no figure to judge by
_LONGEST_STEP = 1.0  # seconds; a machine that stands still for longer stops the clock
# A pause is as long as four looks: who waits leaves the machine to what is waited for.
_LOOKS = 4
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25  # seconds


def eventually(condition: Callable[[], T], *, within: float = PATIENCE_SECONDS) -> T:
    """Return the first true answer of `condition`; AssertionError after `within` seconds."""
    pause = threading.Event()
    waited, looked = 0.0, time.monotonic()
    while not (answer := condition()):
        if waited > within:
            raise AssertionError(f"not within {within} s; the last answer was {answer!r}")
        took = time.monotonic() - looked
        pause.wait(min(max(_SHORTEST_PAUSE, _LOOKS * took), _LONGEST_PAUSE))
        now = time.monotonic()
        waited, looked = waited + min(now - looked, _LONGEST_STEP), now
    return answer


NOON = datetime(2026, 9, 21, 12, tzinfo=UTC)

_PATH = "SET search_path = stopped, pg_catalog, public"
# Found before those of pg_catalog, by the statements exactly as they stand in `src`.
_SHADOWS = """
    CREATE SCHEMA stopped;
    CREATE TABLE stopped.clock AS SELECT CAST('{noon}' AS timestamptz) AS now;
    CREATE FUNCTION stopped.clock_timestamp() RETURNS timestamptz
      LANGUAGE sql VOLATILE AS 'SELECT now FROM stopped.clock';
    CREATE FUNCTION stopped.statement_timestamp() RETURNS timestamptz
      LANGUAGE sql STABLE AS 'SELECT now FROM stopped.clock';
    -- The triggers are the migrator's; who may not look into a schema does not even see it.
    GRANT USAGE ON SCHEMA stopped TO PUBLIC;
    GRANT SELECT ON stopped.clock TO PUBLIC;
"""
_TRIGGERS = ("ifood_notice_manual_change", "ifood_write_manual_change", "ifood_judge_rows")


class StoppedClock:
    """Takes the place of the clock for all connections that `engine` makes from now."""

    def __init__(self, engine: Engine) -> None:
        self.now = NOON
        self._engine = engine
        with engine.begin() as connection:
            connection.exec_driver_sql(_SHADOWS.format(noon=NOON.isoformat()))
            for function in _TRIGGERS:
                connection.exec_driver_sql(f"ALTER FUNCTION {function} {_PATH}")
        event.listen(engine, "connect", _look_here_first)
        engine.update_execution_options(login=None)  # no other clock stands still
        engine.dispose()  # those of before have the old search path

    def go_on(self, by: timedelta) -> None:
        self.set(self.now + by)

    def set(self, now: datetime) -> None:
        self.now = now
        with self._engine.begin() as connection:
            connection.execute(text("UPDATE stopped.clock SET now = :now"), {"now": now})


def _look_here_first(connection: DBAPIConnection, _: object) -> None:
    """After the session has pinned its own search path."""
    cursor = connection.cursor()
    cursor.execute(_PATH)
    cursor.close()
    connection.commit()
