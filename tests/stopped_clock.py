"""A database whose clock stands still until a test moves it: exact instants, and no waiting."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, text

NOON = datetime(2026, 9, 21, 12, tzinfo=UTC)

# Found before those of pg_catalog, by the statements exactly as they stand in `src`.
_SHADOWS = """
    CREATE SCHEMA stopped;
    CREATE TABLE stopped.clock AS SELECT CAST('{noon}' AS timestamptz) AS now;
    CREATE FUNCTION stopped.clock_timestamp() RETURNS timestamptz
      LANGUAGE sql VOLATILE AS 'SELECT now FROM stopped.clock';
    CREATE FUNCTION stopped.statement_timestamp() RETURNS timestamptz
      LANGUAGE sql STABLE AS 'SELECT now FROM stopped.clock';
    ALTER DATABASE "{database}" SET search_path = stopped, pg_catalog, public;
    ALTER FUNCTION ifood_notice_manual_change() SET search_path = stopped, pg_catalog, public;
"""


class StoppedClock:
    """Takes the place of the clock for all connections that `engine` and others make from now."""

    def __init__(self, engine: Engine) -> None:
        self.now = NOON
        self._engine = engine
        with engine.begin() as connection:
            shadows = _SHADOWS.format(noon=NOON.isoformat(), database=engine.url.database)
            connection.exec_driver_sql(shadows)
        engine.dispose()  # those of before have the old search path

    def go_on(self, by: timedelta) -> None:
        self.set(self.now + by)

    def set(self, now: datetime) -> None:
        self.now = now
        with self._engine.begin() as connection:
            connection.execute(text("UPDATE stopped.clock SET now = :now"), {"now": now})
