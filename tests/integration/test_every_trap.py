"""What other readers of this API fell into, row by row of docs/ifood-api.md, sections 9 and 10."""

import gzip
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest
import simplejson
from sqlalchemy import text
from support.api import Reply, a_sale, a_title, a_week, an_anticipation, closing, sales_page, script
from support.clock import eventually
from support.deliveries import MONDAY, Bench
from support.rows import row_of

from ifood_actors.db import transaction
from ifood_actors.feeds import FEEDS

pytestmark = pytest.mark.services

Test = TypeVar("Test", bound=Callable[..., None])

DOCUMENT = Path(__file__).parents[2] / "docs" / "ifood-api.md"
NOTHING = Reply(404, {"message": "nothing"})
PROVED: set[str] = set()


def proves(*rows: str) -> Callable[[Test], Test]:
    """Name the rows of the page that a test is about."""
    PROVED.update(rows)
    return lambda test: test


@pytest.fixture
def server():
    with script() as server:
        yield server


@pytest.fixture
def bench(engine, server) -> Iterator[Bench]:
    bench = Bench(engine, server)
    yield bench
    bench.close()


class Store:
    """A restaurant that is pulled day after day."""

    def __init__(self, bench, kind="sales"):
        self.bench = bench
        self.kind = kind
        self.account = bench.add_account()

    def pull(self, *answers, day=MONDAY):
        """Give the result of a day's job; an answer that is no Reply is a body."""
        replies = [one if isinstance(one, Reply) else Reply(200, one) for one in answers]
        [job] = self.bench.plan_again(self.kind, [self.account], day=day)
        assert self.bench.outcome_of(job, *replies).status == "success"
        return row_of(self.bench.engine, job)["result"]

    def rows(self):
        table = FEEDS[self.kind].table.__tablename__
        return self.bench.rows(f"SELECT * FROM {table} ORDER BY id")


def spans(bench):
    """Give the lengths, in days, of the spans that were asked for."""
    lengths = []
    for _, query in bench.server.asked:
        days = [date.fromisoformat(day) for name, day in sorted(query.items()) if "Date" in name]
        lengths.append((days[1] - days[0]).days + 1)
    return lengths


@proves(
    "guide and Swagger disagree on page index, envelope and `size`",
    "first page of sales",
    "envelope",
    "`size` of sales",
)
@pytest.mark.parametrize("wrapped", [True, False])
def test_pages_count_from_one_in_both_envelopes_and_without_a_size(bench, wrapped):
    pages = [sales_page(a_sale(str(n)), pages=2, page=n, size=1) for n in (1, 2)]

    result = Store(bench).pull(*([page] if wrapped else page for page in pages))

    assert [query["page"] for _, query in bench.server.asked] == ["1", "2"]
    assert all("size" not in query for _, query in bench.server.asked)
    assert (result["rows"], result["complete"]) == (2, True)


@proves(
    "a span over 31 days is answered by an empty list",
    "sales over 8 days are refused in production and accepted in tests",
    "longest span of sales",
)
@pytest.mark.parametrize(
    ("kind", "longest"),
    [("sales", 7), ("settlements_weekly", 28), ("anticipations_daily", 30)],
)
def test_no_setting_makes_a_span_too_long(engine, server, kind, longest):
    widest = {"settlements_weeks": 53, "anticipations_days": 366, "sales_days": 90}
    bench = Bench(engine, server, **widest)

    Store(bench, kind).pull(NOTHING)

    assert max(spans(bench)) == longest
    assert sum(spans(bench)) == {"sales": 90, "settlements_weekly": 371}.get(kind, 366)
    bench.close()


@proves("wrong names of parameters fail unseen")
def test_exactly_one_pair_of_dates_is_sent(bench):
    closings = {"beginCalculationDate", "endCalculationDate"}
    names = {"sales": {"beginSalesDate", "endSalesDate", "page"}}

    for kind in FEEDS:
        Store(bench, kind).pull(NOTHING)

        assert all(query.keys() == names.get(kind, closings) for _, query in bench.server.asked)


@proves("one sum stands in three titles", "`balance` is 0 although there is a payout")
def test_a_payout_is_counted_once_and_whatever_the_balance(bench):
    store = Store(bench, "settlements_weekly")
    titles = [
        a_title(str(n), type=kind, amount=Decimal("3406.90"))
        for n, kind in enumerate(["SALDO POSITIVO", "REPASSE", "REGISTRO_RECEBIVEIS"])
    ]

    result = store.pull(NOTHING, closing(a_week(*titles), balance=0))

    assert (result["rows"], result["amount"]) == (3, "3406.90")


@proves("the payment date of an anticipating store is not the day of the money")
def test_an_anticipation_has_both_days(bench):
    store = Store(bench, "anticipations_daily")

    store.pull(closing(a_week(an_anticipation())))

    [row] = store.rows()
    assert row["original_payment_date"] == date(2026, 10, 14)
    assert row["anticipated_payment_date"] == date(2026, 9, 16)


@proves("`total` differs from the rows")
def test_a_wrong_total_ends_no_list_and_makes_no_alarm(bench):
    result = Store(bench).pull(sales_page(a_sale(), total=2))

    assert (result["rows"], result["complete"], len(bench.server.asked)) == (1, True, 1)


@proves("lines without id or date")
@pytest.mark.parametrize(
    ("kind", "line", "paid"),
    [
        ("settlements_weekly", a_title(None), {"status": "SUCCEED", "paymentDate": "2026-09-23"}),
        (
            "anticipations_daily",
            an_anticipation(originalPaymentDate=None, anticipatedPaymentDate=None),
            {"status": "SUCCEED", "accountDetails": {"bankName": "Banco Exemplo"}},
        ),
    ],
)
def test_lines_without_a_name_are_known_again_when_they_are_paid(bench, kind, line, paid):
    store, week = Store(bench, kind), timedelta(days=7)
    lead = [NOTHING] if kind == "settlements_weekly" else []  # an older block
    store.pull(*lead, closing(a_week(line, line)))

    result = store.pull(*lead, closing(a_week(line, line | paid)), day=MONDAY + week)

    assert (result["rows"], result["new"], result["missing"]) == (2, 0, 0)
    statuses = sorted(row["status"] or "" for row in store.rows())
    assert statuses == [line.get("status", ""), "SUCCEED"]


@proves("data comes up to two days late")
def test_what_comes_late_is_fetched_by_a_later_pull(bench):
    store = Store(bench)
    late = a_sale("late", createdAt="2026-09-20T15:00:00Z")
    very_late = a_sale("very late", createdAt="2026-08-25T15:00:00Z")
    store.pull(NOTHING)

    two_days_later = store.pull(sales_page(late), day=MONDAY + timedelta(days=2))
    answers = [sales_page(very_late), *[NOTHING] * 3, sales_page(late)]
    sunday = store.pull(*answers, day=MONDAY + timedelta(days=6))

    assert two_days_later["new"] == 1
    assert (sunday["new"], sunday["missing"], len(bench.server.asked)) == (1, 0, 5)


@proves("payouts are held back for months")
def test_a_title_that_stays_unpaid_stays_known(bench):
    store = Store(bench, "settlements_weekly")
    held_back = closing(a_week(a_title(status="PENDING")))
    for week in range(3):
        store.pull(NOTHING, held_back, day=MONDAY + timedelta(weeks=week))

    result = store.pull(NOTHING, day=MONDAY + timedelta(weeks=12))

    [row] = store.rows()
    assert (row["status"], row["missing_since"], result["missing"]) == ("PENDING", None, 0)
    assert bench.rows("SELECT FROM ifood_record_versions") == []


@proves("answers are packed by gateways and proxies")
def test_gzip_is_read_and_no_proxy_is_asked(engine, server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    bench = Bench(engine, server)
    packed = gzip.compress(simplejson.dumps(sales_page(a_sale())).encode())

    result = Store(bench).pull(Reply(200, packed, {"Content-Encoding": "gzip"}))

    assert result["rows"] == 1
    bench.close()


@proves("429 in the middle of a bulk load leaves half a period")
def test_a_period_is_stored_as_a_whole_or_not_at_all(bench):
    pages = [Reply(200, sales_page(a_sale(str(n)), pages=3)) for n in range(3)]
    [job] = bench.plan("sales")

    interrupted = bench.outcome_of(job, pages[0], pages[1], Reply(429))
    bench.let_its_wait_pass(job)
    finished = bench.outcome_of(job, *pages)

    assert (interrupted.status, interrupted.attempts, interrupted.rows) == ("pending", 0, 0)
    assert (finished.status, finished.attempts, finished.rows) == ("success", 1, 3)


@proves("life of a token")
def test_a_token_lives_as_long_as_it_says(bench):
    store, days = Store(bench), count()

    def tokens_after_one_more_pull():
        store.pull(NOTHING, day=MONDAY + timedelta(days=next(days)))
        return bench.server.tokens_given

    bench.server.token_seconds = 1
    eventually(lambda: tokens_after_one_more_pull() > 1)
    bench.server.token_seconds = 10_800
    short_lived = bench.server.tokens_given
    eventually(lambda: tokens_after_one_more_pull() > short_lived)
    given = bench.server.tokens_given

    assert tokens_after_one_more_pull() == given


@proves("`liability` of a payment", "names of fields")
@pytest.mark.parametrize(
    ("billing", "methods", "documents", "liability"),
    [
        ("billingSummary", "methods", "documents", "IFOOD"),
        ("billingSumary", "payments", "document", "INTERNAL"),
    ],
)
def test_both_spellings_are_kept_and_the_balance_is_read(
    bench, billing, methods, documents, liability
):
    store = Store(bench)
    sale = a_sale(
        merchant={documents: [{"type": "CNPJ", "value": "00000000000191"}]},
        payments={methods: [{"method": "PIX", "liability": liability}]},
        **{billing: {"saleBalance": Decimal("46.75")}},
    )

    store.pull(sales_page(sale))

    [row] = store.rows()
    assert row["billing_summary_sale_balance"] == Decimal("46.75")
    assert row["raw"]["payments"][methods][0]["liability"] == liability
    assert row["raw"]["merchant"][documents][0]["type"] == "CNPJ"


EMPTY = [NOTHING, Reply(204), Reply(200), Reply(200, {"sales": []}), Reply(200, {"sales": None})]


@proves("nothing", "`sales`")
@pytest.mark.parametrize("reply", EMPTY)
def test_nothing_is_a_success_and_marks_what_is_gone_on_the_second_day(bench, reply):
    store = Store(bench)
    store.pull(sales_page(a_sale()))

    first = store.pull(reply, day=MONDAY + timedelta(days=1))
    with transaction(bench.engine) as tx:
        tx.execute(text("UPDATE ifood_sales SET suspected_since = suspected_since - INTERVAL '1d'"))
    result = store.pull(reply, day=MONDAY + timedelta(days=2))

    assert (first["rows"], first["missing"], first["vanished"]) == (0, 0, 1)
    assert (result["rows"], result["missing"], result["vanished"]) == (0, 1, 0)
    assert [row["missing_since"] is None for row in store.rows()] == [False]


def test_every_row_of_the_page_is_proved():
    page = DOCUMENT.read_text()
    tables = page[page.index("## 9. ") : page.index("## 11. ")]
    rows = set(re.findall(r"^\| ([^|]+) \|.* \|$", tables, re.MULTILINE))

    assert rows - {"trap", "question", "---"} == PROVED
