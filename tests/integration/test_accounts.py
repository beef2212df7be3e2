import threading
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any

import pytest
from builders import make_accounts, make_app
from sqlalchemy import Engine, text

from ifood_actors.accounts import (
    AccountRow,
    BadSheet,
    Imported,
    Switched,
    add_discovered,
    count_active,
    import_sheet,
    list_accounts,
    set_active,
    write_sheet,
)
from ifood_actors.db import transaction
from ifood_actors.errors import UsageError

pytestmark = pytest.mark.services


def imported(engine: Engine, sheet: str) -> Imported:
    with transaction(engine) as tx:
        return import_sheet(tx, sheet.encode())


def listed(engine: Engine, **which: Any) -> list[AccountRow]:
    with transaction(engine) as tx:
        return list_accounts(tx, **which)


def test_an_import_inserts_and_again_updates_by_merchant(engine):
    first = imported(engine, "name,ifood_merchant_id,priority\nA,m,1\nB,n,2\n")
    second = imported(engine, "name,ifood_merchant_id,priority\nA2,m,1\nB,n,2\nC,o,3\n")

    assert (first.inserted, first.updated, first.unchanged) == (2, 0, 0)
    assert (second.inserted, second.updated, second.unchanged) == (1, 1, 1)
    assert [(row.name, row.priority) for row in listed(engine)] == [("A2", 1), ("B", 2), ("C", 3)]


def test_a_column_that_the_file_lacks_leaves_accounts_as_they_are(engine):
    imported(engine, "name,ifood_merchant_id,timezone,priority,active\nA,m,America/Manaus,7,no\n")

    imported(engine, "name,ifood_merchant_id\nA2,m\n")

    assert listed(engine) == [AccountRow("A2", "m", "America/Manaus", 7, active=False, app=None)]


def test_one_bad_line_imports_nothing(engine):
    with pytest.raises(BadSheet):
        imported(engine, "name,ifood_merchant_id,priority\nA,m,1\nB,n,high\n")

    assert listed(engine) == []


def test_the_only_application_is_used_when_the_file_names_none(engine):
    make_app(engine, "north")

    done = imported(engine, "name,ifood_merchant_id\nA,m\n")

    assert done.assumed_app == "north"
    assert listed(engine)[0].app == "north"


def test_of_two_applications_none_is_assumed(engine):
    make_app(engine, "north")
    make_app(engine, "south")

    done = imported(engine, "name,ifood_merchant_id\nA,m\n")

    assert (done.assumed_app, done.without_app) == (None, 1)


def test_an_application_that_does_not_exist_is_refused(engine):
    make_app(engine, "north")

    with pytest.raises(BadSheet, match=r"line 2, app: .*\(north\), not 'south'"):
        imported(engine, "name,ifood_merchant_id,app\nA,m,south\n")


def test_two_imports_of_one_file_at_once_insert_each_account_once(engine):
    lines = [f"Loja {number},m{number}" for number in range(2_000)]
    sheets = ["\n".join(["name,ifood_merchant_id", *order, ""]) for order in (lines, lines[::-1])]
    together = threading.Barrier(2)

    def run(sheet):
        together.wait()
        return imported(engine, sheet)

    with ThreadPoolExecutor() as pool:
        done = list(pool.map(run, sheets))

    assert sum(one.inserted for one in done) == 2_000
    assert sum(one.unchanged for one in done) == 2_000


def test_accounts_are_switched_by_name_or_merchant(engine):
    imported(engine, "name,ifood_merchant_id\nA,m\nB,n\nC,o\n")

    with transaction(engine) as tx:
        done = set_active(tx, ["A", "n"], active=False)
        again = set_active(tx, ["A", "C"], active=False)

    assert done == Switched(changed=2, unchanged=0)
    assert again == Switched(changed=1, unchanged=1)
    assert listed(engine, active=True) == []


def test_an_unknown_name_switches_nothing(engine):
    imported(engine, "name,ifood_merchant_id\nA,m\n")

    with pytest.raises(UsageError, match="no such account: 'X', 'Y'"), transaction(engine) as tx:
        set_active(tx, ["A", "X", "Y"], active=False)

    assert listed(engine)[0].active


def test_a_name_that_fits_two_accounts_switches_neither(engine):
    imported(engine, "name,ifood_merchant_id\nA,m\nA,n\n")

    with pytest.raises(UsageError, match="merchant ids"), transaction(engine) as tx:
        set_active(tx, ["A"], active=False)

    assert len(listed(engine, active=True)) == 2


def test_accounts_that_take_part_are_counted(engine):
    imported(engine, "name,ifood_merchant_id,active\nA,m,yes\nB,n,yes\nC,o,no\n")

    with transaction(engine) as tx:
        assert count_active(tx) == 2
        assert count_active(tx, ["B"]) == 1
        with pytest.raises(UsageError, match="disabled: 'C'"):
            count_active(tx, ["A", "C"])
        with pytest.raises(UsageError, match="no such account: 'D'"):
            count_active(tx, ["D"])


def test_discovered_stores_are_added_and_known_ones_keep_what_an_operator_gave(engine):
    make_app(engine, "north")
    make_app(engine, "south")
    imported(engine, "name,ifood_merchant_id,active,app\nMine,m,no,north\n")

    with transaction(engine) as tx:
        done = add_discovered(tx, [("m", "Theirs"), ("n", "New\nOne")], app="south", active=True)

    assert (done.inserted, done.updated) == (1, 1)
    assert listed(engine) == [
        AccountRow("Mine", "m", "America/Sao_Paulo", 0, active=False, app="south"),
        AccountRow("New One", "n", "America/Sao_Paulo", 0, active=True, app="south"),
    ]


def test_discovered_stores_are_exported_so_that_they_import_again_unchanged(engine):
    make_app(engine, "north")
    names = ("x" * 199 + " y", "\u00a0Bar\u00a0do Zé ", "=1+1", "\u200b")
    with transaction(engine) as tx:
        add_discovered(
            tx, [(f"m{n}", name) for n, name in enumerate(names)], app="north", active=True
        )
    exported = StringIO()
    write_sheet((row.entry() for row in listed(engine)), exported)

    again = imported(engine, exported.getvalue())

    assert (again.inserted, again.updated, again.unchanged) == (0, 0, len(names))
    assert [row.name for row in listed(engine)] == sorted(["=1+1", "Bar do Zé", "m3", "x" * 199])


def test_a_list_has_its_filters(engine):
    make_accounts(engine, 2, app_id=make_app(engine, "north"))
    make_accounts(engine, 1)

    assert len(listed(engine, app="north")) == 2
    assert len(listed(engine, limit=1)) == 1
    assert listed(engine, active=False) == []


def test_an_account_that_is_updated_notes_when(engine):
    imported(engine, "name,ifood_merchant_id\nA,m\nB,n\n")
    imported(engine, "name,ifood_merchant_id\nA2,m\nB,n\n")

    with transaction(engine) as tx:
        changed = tx.execute(text("SELECT name FROM accounts WHERE updated_at > created_at"))
        assert list(changed.scalars()) == ["A2"]
