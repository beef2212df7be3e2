"""Reads the gauges: few, short statements, of which one that fails takes no other with it."""

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from ifood_actors.config import Settings
from ifood_actors.db import missing_right, reason_of
from ifood_actors.figures import FIGURES, LEDGER_UP, Figure, read_rows
from ifood_actors.logs import get_logger

log = get_logger(__name__)

_BUDGET = 4.0  # seconds for all statements together, the last of which may exceed it
_STATEMENT_TIMEOUT = text("SET LOCAL statement_timeout = '2s'")


class LedgerGauges:
    """The figures as gauges; one thread at a time may read them."""

    def __init__(
        self, engine: Engine, settings: Settings, *, wanted: Iterable[Figure] = FIGURES
    ) -> None:
        self._engine = engine.execution_options(postgresql_readonly=True)
        self._settings = settings
        self._wanted: dict[str, list[Figure]] = {}  # by statement: these are read together
        for figure in sorted(wanted, key=lambda figure: figure.query.every):
            self._wanted.setdefault(figure.query.statement, []).append(figure)
        # What was read of a statement, and when; None could not be.
        self._read: dict[str, tuple[float, list[Metric] | None]] = {}

    def read(self) -> list[Metric]:
        """
        Give all gauges that can be read, and `ifood_ledger_up`.

        A statement that fails, or for which there is no time, is left out and tried again when its
        turn comes. Raises DBAPIError when Postgres cannot be reached.
        """
        give_up = monotonic() + _BUDGET
        with self._engine.connect() as connection:
            found = [
                self._current(connection, figures, give_up=give_up)
                for figures in self._wanted.values()
            ]
        readable = [families for families in found if families is not None]
        return [family for families in readable for family in families] + [
            ledger_up(whole=len(readable) == len(found))
        ]

    def _current(
        self, connection: Connection, figures: Sequence[Figure], *, give_up: float
    ) -> list[Metric] | None:
        query = figures[0].query
        read_at, families = self._read.get(query.statement, (float("-inf"), None))
        if monotonic() - read_at < query.every.total_seconds():
            return families
        if monotonic() > give_up:
            return None
        families = self._query(connection, figures)
        self._read[query.statement] = (monotonic(), families)
        return families

    def _query(self, connection: Connection, figures: Sequence[Figure]) -> list[Metric] | None:
        try:
            with connection.begin():
                connection.execute(_STATEMENT_TIMEOUT)
                rows = read_rows(connection, figures[0].query.statement, self._settings)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            denied = missing_right(error)
            tell = log.error if denied else log.warning
            names = [figure.name for figure in figures]
            tell("gauges.unreadable", gauges=names, reason=denied or reason_of(error))
            return None
        return [_family(figure, rows) for figure in figures]


def ledger_up(*, whole: bool) -> Metric:
    """Give the gauge that says whether all others could be read."""
    name, meaning = LEDGER_UP
    return GaugeMetricFamily(name, meaning, value=float(whole))


def _family(figure: Figure, rows: Iterable[Mapping[str, Any]]) -> Metric:
    labels = figure.query.labels
    family = GaugeMetricFamily(figure.name, figure.meaning.replace("`", ""), labels=list(labels))
    for row in rows:
        if row[figure.name] is not None:
            family.add_metric([str(row[label]) for label in labels], float(row[figure.name]))
    return family
