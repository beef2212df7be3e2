"""Storing: sales that are new, the same again, and a few of them changed, beside plain COPY."""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from statistics import median
from time import monotonic, process_time
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
from sqlalchemy import Engine, text
from sqlmodel import SQLModel

from ifood_actors.db import driver, transaction
from ifood_actors.feeds import FEEDS, Fetched, Origin
from ifood_actors.feeds.records import Row
from ifood_actors.ifood.http import MerchantApi
from ifood_actors.ifood.http.answers import JsonValue, parse
from ifood_actors.ifood.http.transport import Answer
from ifood_actors.spans import Period
from ifood_actors.worker.startup import GARBAGE_THRESHOLD
from ifood_simulator import Settings as SimulatorSettings
from ifood_simulator.world import World
from scripts.benchmarks.environment import Services, start_environment
from scripts.benchmarks.machine import Meter
from scripts.benchmarks.report import Figure, amount, at_least, at_most
from scripts.benchmarks.sizes import Sizes

_FEED = FEEDS["sales"]
_TABLE = str(_FEED.table.__tablename__)
_WEEK = Period(date(2026, 9, 14), date(2026, 9, 20))
_READ_ON = date(2026, 9, 28)
_PAGE = 100
_ACCOUNT = uuid4()
_REPEATED = 5  # a median of so many large merchants, and of so many parsings
_PULLS = 35
_ONE_IN = 50  # 2 % of the sales
_NEW, _UNCHANGED, _OF_COPY = 4_000, 15_000, 0.4
_WAL_BYTES, _GROWTH, _PARSING_MS = 60.0, 1.05, 0.1


@dataclass
class _Cost:
    """What works of so many rows each cost: seconds and WAL of each, CPU of all by part."""

    on: Services
    engine: Engine
    rows: int
    seconds: list[float] = field(default_factory=list)
    wal: list[int] = field(default_factory=list)
    cpu: Counter[str] = field(default_factory=Counter)

    def of(self, work: Callable[[], None]) -> None:
        before, meter = _wal(self.engine), Meter(self.on.pids())
        started, here = monotonic(), process_time()
        work()
        self.seconds.append(monotonic() - started)
        here = process_time() - here  # the meter has hundredths of a second, and costs some itself
        self.cpu.update({**meter.spent().cpu, "this process": here})
        self.wal.append(_wal(self.engine) - before)

    @property
    def rate(self) -> float:
        """Rows a second, of the median work."""
        return self.rows / median(self.seconds)

    @property
    def wal_bytes(self) -> float:
        """Bytes of WAL a row."""
        return sum(self.wal) / (self.rows * len(self.wal))

    @property
    def cpu_us(self) -> str:
        """Microseconds of CPU a row: here, and in Postgres."""
        parts = ("this process", "Postgres")
        each = (1e6 * self.cpu[part] / (self.rows * len(self.seconds)) for part in parts)
        return " + ".join(amount(us, "") for us in each) + " us"


def measure(on: Services, sizes: Sizes) -> list[Figure]:
    """Store one large merchant after the other, and then many smaller ones."""
    gc.set_threshold(GARBAGE_THRESHOLD)  # as in a worker's process
    pages = _Pages(sizes.stored)
    parsing = _parsing(pages)  # before there is much that Python's collector would go through
    large = _fetched(pages)
    with start_environment(on) as here:
        names = [f"large-{number}" for number in range(_REPEATED)]
        figures = _stored(on, here.engine, large, names, label="one merchant")
        figures += _kept(on, here.engine, large, names[0])
    with start_environment(on) as here:
        names = [f"small-{number}" for number in range(sizes.stored_merchants)]
        small = _fetched(_Pages(sizes.stored_each))
        figures += _stored(on, here.engine, small, names, label=f"{len(names)} merchants")
    return [*figures, parsing]


def _stored(
    on: Services, engine: Engine, fetched: Fetched, names: Sequence[str], *, label: str
) -> list[Figure]:
    """Store for each merchant what is new, the same again, and with one sale in fifty changed."""
    rows = len(fetched.rows)
    changed = replace(fetched, rows=tuple(_changed(fetched.rows)))
    new, plain, again, few = (_Cost(on, engine, rows) for _ in range(4))
    with _twin(engine) as twin:
        for name in names:  # one beside the other: the load of the machine changes
            new.of(_storing(engine, fetched, name))
            plain.of(_copying(engine, name, twin))
            again.of(_storing(engine, fetched, name))
            few.of(_storing(engine, changed, name))
    of_copy = median(one / other for one, other in zip(plain.seconds, new.seconds, strict=True))
    return [
        at_least(f"{label}, {rows:,} rows: new", new.rate, _NEW, unit="rows/s"),
        Figure("  plain COPY of the same", amount(plain.rate, "rows/s")),
        at_least("  new, of plain COPY", of_copy, _OF_COPY, unit=""),
        Figure("  CPU a new row, here and in Postgres", new.cpu_us),
        Figure("    plain COPY of the same", plain.cpu_us),
        Figure("  WAL a new row", amount(new.wal_bytes, "B")),
        Figure("    plain COPY of the same", amount(plain.wal_bytes, "B")),
        at_least("  unchanged", again.rate, _UNCHANGED, unit="rows/s"),
        Figure("  CPU an unchanged row, here and in Postgres", again.cpu_us),
        at_most("  WAL an unchanged row", again.wal_bytes, _WAL_BYTES, unit="B"),
        Figure("  2 % changed", amount(few.rate, "rows/s")),
        Figure("  WAL a row with 2 % changed", amount(few.wal_bytes, "B")),
    ]


def _kept(on: Services, engine: Engine, fetched: Fetched, name: str) -> list[Figure]:
    """Pull the same again and again, and compare what a sale takes with each compression."""
    _storing(engine, fetched, name)()
    before = _size(engine, _TABLE)
    for _ in range(_PULLS):
        _storing(engine, fetched, name)()
    growth = _size(engine, _TABLE) / before
    figures = [at_most(f"  table after {_PULLS} unchanged pulls", growth, _GROWTH, unit="times")]
    for method in _compressions(engine):
        with _twin(engine, compression=method) as twin:
            cost = _Cost(on, engine, len(fetched.rows))
            cost.of(_copying(engine, name, twin))
            size = amount(_size(engine, twin) / len(fetched.rows), "B")
            figures.append(Figure(f"  a sale on disk, raw by {method}", size))
            figures.append(Figure("    CPU of plain COPY into that", cost.cpu_us))
    return figures


def _parsing(pages: "_Pages") -> Figure:
    """Measure from the bodies to the rows, JSON included, in CPU time of this process."""
    seconds = []
    for _ in range(_REPEATED):
        started = process_time()
        rows = len(_fetched(pages).rows)
        seconds.append(process_time() - started)
    return at_most("parsing a row, CPU", 1000 * median(seconds) / rows, _PARSING_MS, unit="ms")


def _storing(engine: Engine, fetched: Fetched, name: str) -> Callable[[], None]:
    def store() -> None:
        origin = Origin(account_id=_ACCOUNT, merchant_id=name, job_id=uuid4(), job_day=_READ_ON)
        with transaction(engine) as tx:
            _FEED.store(tx, fetched, period=_WEEK, origin=origin)

    return store


def _copying(engine: Engine, name: str, twin: str) -> Callable[[], None]:
    """Read a merchant's rows as Postgres writes them out; what it gives copies them into a twin."""
    names = [c.name for c in SQLModel.metadata.tables[_TABLE].columns if c.name != "id"]
    columns = ", ".join(names)
    out = f"COPY (SELECT {columns} FROM {_TABLE} WHERE merchant_id = %s) TO STDOUT (FORMAT binary)"
    into = f"COPY {twin} ({columns}) FROM STDIN (FORMAT binary)".encode()
    with (
        transaction(engine) as tx,
        driver(tx) as link,
        link.cursor() as cursor,
        cursor.copy(out.encode(), [name]) as copy,
    ):
        stored = b"".join(copy)

    def write() -> None:
        with (
            transaction(engine) as tx,
            driver(tx) as link,
            link.cursor() as cursor,
            cursor.copy(into) as copy,
        ):
            copy.write(stored)

    return write


@contextmanager
def _twin(engine: Engine, *, compression: str | None = None) -> Iterator[str]:
    """Lend an empty table of the same shape, with the same indexes."""
    with transaction(engine) as tx:
        tx.execute(text(f"CREATE TABLE twin (LIKE {_TABLE} INCLUDING ALL)"))
        if compression:
            tx.execute(text(f"ALTER TABLE twin ALTER COLUMN raw SET COMPRESSION {compression}"))
    yield "twin"
    with transaction(engine) as tx:
        tx.execute(text("DROP TABLE twin"))


def _compressions(engine: Engine) -> list[str]:
    query = "SELECT unnest(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
    with transaction(engine) as tx:
        return list(tx.execute(text(query)).scalars())


def _size(engine: Engine, table: str) -> int:
    return _number(engine, f"SELECT pg_total_relation_size('{table}')")


def _wal(engine: Engine) -> int:
    return _number(engine, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")


def _number(engine: Engine, query: str) -> int:
    with transaction(engine) as tx:
        number: int = tx.execute(text(query)).scalar_one()
        return number


def _changed(rows: Sequence[Row]) -> Iterator[Row]:
    for number, row in enumerate(rows):
        if number % _ONE_IN:
            yield row
        else:
            raw = {**row["raw"], "currentStatus": "DISPUTED"}
            yield {**row, "current_status": "DISPUTED", "raw": raw}


class _Pages(MerchantApi):
    """Answers with so many sales of a simulated store, from bodies that are written beforehand."""

    def __init__(self, sales: int) -> None:
        world = World(SimulatorSettings(merchants=1, sales_per_day=sales / 2))
        merchant = world.roster.at(0)
        served = world.sales(merchant, _WEEK.start, _WEEK.end, today=_READ_ON)[:sales]
        self.merchant_id = merchant.id
        starts = range(0, len(served), _PAGE)
        self._bodies = [
            b'{"pageCount":%d,"sales":[%s]}'
            % (len(starts), b",".join(sale.body for sale in served[start : start + _PAGE]))
            for start in starts
        ]

    def get(self, resource: str, params: Mapping[str, str]) -> JsonValue | None:  # noqa: ARG002
        return parse(Answer(200, httpx.Headers(), self._bodies[int(params["page"]) - 1]))


def _fetched(pages: _Pages) -> Fetched:
    return _FEED.fetch(pages, _WEEK, timezone=ZoneInfo("America/Sao_Paulo"))
