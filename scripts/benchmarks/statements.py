"""Where the database's time goes, as Postgres counts it itself."""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Engine, text

_AVAILABLE = text("SELECT current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%'")
_RAN = text("""
    SELECT query, calls, total_exec_time AS milliseconds
    FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND query !~ 'pg_stat|count\\(\\*\\) FROM ifood_jobs WHERE status'
""")
_ACTIVE = text("SELECT active_time FROM pg_stat_database WHERE datname = current_database()")
_WORDS = 9


@dataclass(frozen=True)
class Statement:
    """One statement, however often it ran."""

    name: str
    calls: int
    milliseconds: float


class Statements:
    """What ran in one database since it was asked to count."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        with self._engine.connect() as connection:
            self.counted = bool(connection.execute(_AVAILABLE).scalar_one())
            if self.counted:
                connection.execute(text("CREATE EXTENSION IF NOT EXISTS pg_stat_statements"))
                connection.execute(text("SELECT pg_stat_statements_reset()"))
            self._active = connection.execute(_ACTIVE).scalar_one()

    def costliest(self) -> list[Statement]:
        """Give all of them, by their share of the time; none where Postgres cannot count them."""
        if not self.counted:
            return []
        calls: Counter[str] = Counter()
        milliseconds: Counter[str] = Counter()
        with self._engine.connect() as connection:
            # One statement may be several to Postgres, by the types of its parameters.
            for row in connection.execute(_RAN):
                calls[_name(row.query)] += row.calls
                milliseconds[_name(row.query)] += row.milliseconds
        return [Statement(name, calls[name], spent) for name, spent in milliseconds.most_common()]

    def active_milliseconds(self) -> float:
        """Give how long sessions were busy, commits that wait for the disk included."""
        with self._engine.connect() as connection:
            active: float = connection.execute(_ACTIVE).scalar_one() - self._active
            return active


def _name(query: str) -> str:
    """Name a statement of this project by its first words, an act by what it changes."""
    act = query.partition("UPDATE ifood_jobs SET ")[2]
    return " ".join((f"act: {act}" if act else query).split()[:_WORDS])[:48]
