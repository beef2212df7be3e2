"""Reads the gauges: few, short statements, of which one that fails takes no other with it."""

from collections.abc import Iterator, Mapping
from time import monotonic

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from ifood_actors.config import Settings
from ifood_actors.db import missing_right, reason_of
from ifood_actors.figures import gauges
from ifood_actors.figures.gauges import Gauges
from ifood_actors.logs import get_logger

log = get_logger(__name__)

LEDGER_UP = "ifood_ledger_up"
_UP_MEANS = "1 if all gauges of the ledger could be read."

_BUDGET = 4.0  # seconds for all statements together, the last of which may exceed it
_STATEMENT_TIMEOUT = text("SET LOCAL statement_timeout = '2s'")


class LedgerGauges:
    """The ledger's gauges; one thread at a time may read them."""

    def __init__(
        self, engine: Engine, settings: Settings, *, wanted: tuple[Gauges, ...] = gauges.ALL
    ) -> None:
        self._engine = engine.execution_options(postgresql_readonly=True)
        self._settings = settings
        self._wanted = wanted
        # What was read, and when; None could not be.
        self._read: dict[str, tuple[float, list[Metric] | None]] = {}

    def read(self) -> list[Metric]:
        """
        Give all gauges that can be read, and `ifood_ledger_up`.

        A statement that fails, or for which there is no time, is left out and tried again when its
        turn comes. Raises DBAPIError when Postgres cannot be reached.
        """
        give_up = monotonic() + _BUDGET
        with self._engine.connect() as connection:
            found = [self._current(connection, each, give_up=give_up) for each in self._wanted]
        readable = [families for families in found if families is not None]
        return [family for families in readable for family in families] + [
            _up(len(readable) == len(found))
        ]

    def _current(
        self, connection: Connection, wanted: Gauges, *, give_up: float
    ) -> list[Metric] | None:
        key = wanted.statement
        read_at, families = self._read.get(key, (float("-inf"), None))
        if monotonic() - read_at < wanted.every.total_seconds():
            return families
        if monotonic() > give_up:
            return None
        families = self._ask(connection, wanted)
        self._read[key] = (monotonic(), families)
        return families

    def _ask(self, connection: Connection, wanted: Gauges) -> list[Metric] | None:
        try:
            with connection.begin():
                connection.execute(_STATEMENT_TIMEOUT)
                values = gauges.values(self._settings)
                rows = connection.execute(text(wanted.statement), _bound(wanted, values))
                return list(_families(wanted, [dict(row) for row in rows.mappings()]))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            denied = missing_right(error)
            tell = log.error if denied else log.warning
            reason = denied or reason_of(error)
            tell("gauges.unreadable", gauges=list(wanted.meanings), reason=reason)
            return None


def unreadable() -> list[Metric]:
    """Give what is said when nothing could be read."""
    return [_up(False)]  # noqa: FBT003 - the gauge's own value


def _up(whole: bool) -> Metric:  # noqa: FBT001 - the gauge's own value
    return GaugeMetricFamily(LEDGER_UP, _UP_MEANS, value=float(whole))


def _bound(wanted: Gauges, values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if f":{name}" in wanted.statement}


def _families(wanted: Gauges, rows: list[dict[str, object]]) -> Iterator[Metric]:
    for name, meaning in wanted.meanings.items():
        family = GaugeMetricFamily(name, meaning, labels=wanted.labels)
        for row in rows:
            if row[name] is not None:
                labels = [str(row[label]) for label in wanted.labels]
                family.add_metric(labels, float(str(row[name])))
        yield family
