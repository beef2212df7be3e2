import threading
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any

import pytest
from sqlalchemy import Engine, text
from support.records import store
from support.rows import M, N, P, make_accounts, make_app, merchant

from ifood_actors.accounts import (
    BadSheet,
    Imported,
    add_discovered,
    count_active,
    import_sheet,
    list_accounts,
    set_active,
)
from ifood_actors.accounts.registry import Switched
from ifood_actors.accounts.sheet import Entry, write_sheet
from ifood_actors.db import transaction
from ifood_actors.errors import UsageError

pytestmark = pytest.mark.services


def imported(engine: Engine, sheet: str) -> Imported:
    with transaction(engine) as tx:
        return import_sheet(tx, sheet.encode())


def listed(engine: Engine, **which: Any) -> list[Entry]:
    with transaction(engine) as tx:
        return list_accounts(tx, **which)


def test_an_import_inserts_and_again_updates_by_merchant(engine):
    first = imported(engine, f"name,ifood_merchant_id,priority\nA,{M},1\nB,{N},2\n")
    second = imported(engine, f"name,ifood_merchant_id,priority\nA2,{M},1\nB,{N},2\nC,{P},3\n")

    assert (first.inserted, first.updated, first.unchanged) == (2, 0, 0)
    assert (second.inserted, second.updated, second.unchanged) == (1, 1, 1)
    assert [(row.name, row.priority) for row in listed(engine)] == [("A2", 1), ("B", 2), ("C", 3)]


def test_a_column_that_the_file_lacks_leaves_accounts_as_they_are(engine):
    imported(
        engine, f"name,ifood_merchant_id,timezone,priority,active\nA,{M},America/Manaus,7,no\n"
    )

    imported(engine, f"name,ifood_merchant_id\nA2,{M}\n")

    assert listed(engine) == [Entry("A2", M, "America/Manaus", 7, active=False, app=None)]


def test_one_bad_line_imports_nothing(engine):
    with pytest.raises(BadSheet):
        imported(engine, f"name,ifood_merchant_id,priority\nA,{M},1\nB,{N},high\n")

    assert listed(engine) == []


def test_the_only_application_is_used_when_the_file_names_none(engine):
    make_app(engine, "north")

    done = imported(engine, f"name,ifood_merchant_id\nA,{M}\n")

    assert done.assumed_app == "north"
    assert listed(engine)[0].app == "north"


def test_of_two_applications_none_is_assumed(engine):
    make_app(engine, "north")
    make_app(engine, "south")

    done = imported(engine, f"name,ifood_merchant_id\nA,{M}\n")

    assert (done.assumed_app, done.without_app) == (None, 1)


def test_an_application_that_does_not_exist_is_refused(engine):
    make_app(engine, "north")

    with pytest.raises(BadSheet, match=r"line 2, app: .*\(north\), not 'south'"):
        imported(engine, f"name,ifood_merchant_id,app\nA,{M},south\n")


def test_two_imports_of_one_file_at_once_insert_each_account_once(engine):
    lines = [f"Loja {number},{merchant(number)}" for number in range(2_000)]
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
    imported(engine, f"name,ifood_merchant_id\nA,{M}\nB,{N}\nC,{P}\n")

    with transaction(engine) as tx:
        done = set_active(tx, ["A", N], active=False)
        again = set_active(tx, ["A", "C"], active=False)

    assert done == Switched(changed=2, unchanged=0)
    assert again == Switched(changed=1, unchanged=1)
    assert listed(engine, active=True) == []


def test_an_unknown_name_switches_nothing(engine):
    imported(engine, f"name,ifood_merchant_id\nA,{M}\n")

    with pytest.raises(UsageError, match="no such account: 'X', 'Y'"), transaction(engine) as tx:
        set_active(tx, ["A", "X", "Y"], active=False)

    assert listed(engine)[0].active


def test_a_name_that_fits_two_accounts_switches_neither(engine):
    imported(engine, f"name,ifood_merchant_id\nA,{M}\nA,{N}\n")

    with pytest.raises(UsageError, match="merchant ids"), transaction(engine) as tx:
        set_active(tx, ["A"], active=False)

    assert len(listed(engine, active=True)) == 2


def test_accounts_that_take_part_are_counted(engine):
    imported(engine, f"name,ifood_merchant_id,active\nA,{M},yes\nB,{N},yes\nC,{P},no\n")

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
    imported(engine, f"name,ifood_merchant_id,active,app\nMine,{M},no,north\n")

    with transaction(engine) as tx:
        done = add_discovered(tx, [(M, "Theirs"), (N, "New\nOne")], app="south", active=True)

    assert (done.inserted, done.updated) == (1, 1)
    assert listed(engine) == [
        Entry("Mine", M, "America/Sao_Paulo", 0, active=False, app="south"),
        Entry("New One", N, "America/Sao_Paulo", 0, active=True, app="south"),
    ]


def test_discovered_stores_are_exported_so_that_they_import_again_unchanged(engine):
    make_app(engine, "north")
    names = ("x" * 199 + " y", "\u00a0Bar\u00a0do Zé ", "=1+1", "\u200b")
    with transaction(engine) as tx:
        add_discovered(
            tx, [(merchant(n), name) for n, name in enumerate(names)], app="north", active=True
        )
    exported = StringIO()
    write_sheet(listed(engine), exported)

    again = imported(engine, exported.getvalue())

    assert (again.inserted, again.updated, again.unchanged) == (0, 0, len(names))
    assert [row.name for row in listed(engine)] == sorted(
        ["=1+1", "Bar do Zé", merchant(3), "x" * 199]
    )


def test_a_list_has_its_filters(engine):
    make_accounts(engine, 2, app_id=make_app(engine, "north"))
    make_accounts(engine, 1)

    assert len(listed(engine, app="north")) == 2
    assert len(listed(engine, limit=1)) == 1
    assert listed(engine, active=False) == []


def test_an_account_that_is_updated_notes_when(engine):
    imported(engine, f"name,ifood_merchant_id\nA,{M}\nB,{N}\n")
    imported(engine, f"name,ifood_merchant_id\nA2,{M}\nB,{N}\n")

    with transaction(engine) as tx:
        changed = tx.execute(text("SELECT name FROM accounts WHERE updated_at > created_at"))
        assert list(changed.scalars()) == ["A2"]


def insert(engine: Engine, name: str, merchant_id: str) -> None:
    """Add an account as somebody might by SQL."""
    with transaction(engine) as tx:
        tx.execute(
            text("INSERT INTO accounts (name, ifood_merchant_id) VALUES (:name, :merchant_id)"),
            {"name": name, "merchant_id": merchant_id},
        )


def merchant_ids(engine: Engine) -> list[str]:
    return [row.ifood_merchant_id for row in listed(engine)]


SPELLINGS = [M.upper(), f"{{{M}}}", M.replace("-", ""), M.replace("-", "\u2011"), f'="{M}"']


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_another_spelling_of_a_known_merchant_is_the_same_account(engine, spelling):
    make_app(engine, "north")
    insert(engine, "A", spelling)

    done = imported(engine, f"name,ifood_merchant_id\nA2,{M}\n")
    with transaction(engine) as tx:
        found = add_discovered(tx, [(M.upper(), "A3"), (M, "A4")], app="north", active=True)

    assert (done.inserted, done.updated) == (0, 1)
    assert (found.inserted, found.unchanged) == (0, 1)
    assert [(row.name, row.ifood_merchant_id) for row in listed(engine)] == [("A2", M)]


@pytest.mark.parametrize("kind", ["sales", "settlements_weekly", "anticipations_daily"])
def test_an_account_with_records_keeps_its_spelling_since_they_would_be_counted_twice(engine, kind):
    insert(engine, "A", M.upper())
    store(engine, kind, {"merchant_id": M.upper()})

    done = imported(engine, f"name,ifood_merchant_id\nA2,{M}\n")

    assert (done.inserted, done.updated) == (0, 1)
    assert merchant_ids(engine) == [M.upper()]


def test_two_accounts_of_one_merchant_stay_two_and_the_right_one_is_updated(engine):
    insert(engine, "A", f"{{{M}}}")
    insert(engine, "B", M)

    done = imported(engine, f"name,ifood_merchant_id\nC,{M.upper()}\n")

    assert (done.inserted, done.updated) == (0, 1)
    assert [(row.name, row.ifood_merchant_id) for row in listed(engine)] == [
        ("A", f"{{{M}}}"),
        ("C", M),
    ]


def test_a_merchant_that_is_no_uuid_and_was_stored_before_is_left_alone(engine):
    insert(engine, "A", "4078865")

    imported(engine, f"name,ifood_merchant_id\nB,{M}\n")

    assert merchant_ids(engine) == ["4078865", M]


def test_a_cnpj_and_a_group_are_stored_kept_and_filtered(engine):
    imported(
        engine,
        f"name;ifood_merchant_id;cnpj;group\nA;{M};14.380.200/0001-21;Sul\nB;{N};;Sul\nC;{P}\n",
    )
    imported(engine, f"name,ifood_merchant_id\nA2,{M}\n")

    assert [row.name for row in listed(engine, cnpj="14380200000121")] == ["A2"]
    assert [row.name for row in listed(engine, group="Sul")] == ["A2", "B"]
    assert listed(engine, cnpj="00000000000191") == []

    imported(engine, f"name;ifood_merchant_id;cnpj;group\nA2;{M};;\n")
    assert (listed(engine)[0].cnpj, listed(engine)[0].group) == (None, None)


def test_what_is_exported_imports_again_unchanged_from_a_database(engine):
    imported(
        engine,
        "name;ifood_merchant_id;cnpj;group\n"
        f'\uff1dBar;{M};;\n"x,=1;-2";{N};14380200000121;\uff20Rede\n',
    )
    exported = StringIO()
    write_sheet(listed(engine), exported)

    again = imported(engine, exported.getvalue())

    assert (again.inserted, again.updated, again.unchanged) == (0, 0, 2)
    assert [row.name for row in listed(engine)] == ["x,=1;-2", "\uff1dBar"]
