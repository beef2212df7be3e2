"""`rejected` on a real database."""

from pathlib import Path

import pytest
from sqlalchemy import text
from support.program import Program
from support.rows import make_accounts, make_rejected_item

from ifood_actors.db import transaction

pytestmark = pytest.mark.services


@pytest.fixture
def command(tmp_path: Path, database_url: str) -> Program:
    return Program(tmp_path, {"IFOOD_DATABASE_URL": database_url})


def test_rejected_items_are_listed_with_reasons_and_shown_whole_only_when_asked(command, engine):
    make_accounts(engine)
    with transaction(engine) as tx:
        [account] = tx.execute(text("SELECT id, name, ifood_merchant_id FROM accounts"))
    make_rejected_item(engine, "1", merchant_id=account.ifood_merchant_id)
    make_rejected_item(engine, "2", merchant_id="gone", kind="settlements_weekly")

    told, whole, sales, first, shown = command.each(
        [
            ["rejected", "--json"],
            ["rejected", "--raw", "--json"],
            ["rejected", "--kind", "sales", "--json"],
            ["rejected", "--account", account.ifood_merchant_id, "--limit", "1"],
            ["rejected"],
        ]
    )

    assert [one["key"] for one in told.document] == ["2", "1"]
    assert [one["kind"] for one in sales.document] == ["sales"]
    assert "secret" not in told.out + shown.out
    assert [one["raw"] for one in whole.document] == [{"secret": 1}] * 2
    assert first.out.count("saleGrossValue.bag: Field required") == 1
    assert shown.out.count("saleGrossValue.bag: Field required") == 2


def test_nothing_rejected_is_said_so(command):
    [shown] = command.each([["rejected"]])

    assert (shown.code, shown.out) == (0, "")
    assert "every item that iFood gave was read" in shown.err
