"""`db`, `apps`, `accounts` and `config`, on a real database."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from cryptography.fernet import Fernet
from openpyxl import Workbook
from sqlalchemy import text
from support.program import Program
from support.rows import M, N, P, claim, dispatch, make_jobs

import ifood_simulator
from ifood_actors.db import transaction
from ifood_actors.spans import WEEKDAYS
from ifood_simulator import Settings, Simulator

DOCS = Path(__file__).parents[2] / "docs"
ADD = ("apps", "add", "north", "--client-id", "client-1", "--kind", "centralized")


@pytest.fixture
def command(tmp_path: Path, database_url: str) -> Program:
    keys = Fernet.generate_key().decode()
    settings = {"IFOOD_DATABASE_URL": database_url, "IFOOD_ENCRYPTION_KEYS": keys}
    return Program(tmp_path, settings)


@pytest.fixture(scope="module")
def ifood() -> Iterator[Simulator]:
    with ifood_simulator.running(Settings(merchants=5)) as running:
        yield running


def test_config_shows_every_setting_with_its_origin_and_no_secret(tmp_path):
    (tmp_path / ".env").write_text("IFOOD_SALES_DAYS=3\n")
    command = Program(tmp_path, {"IFOOD_BROKER_URL": "amqp://somebody:hunter2@rabbit/"})

    shown, listed = command.each([["config"], ["config", "--json"]])

    rows = {row["name"]: row for row in listed.document}
    assert (rows["IFOOD_SALES_DAYS"]["value"], rows["IFOOD_SALES_DAYS"]["origin"]) == ("3", ".env")
    assert rows["IFOOD_BROKER_URL"]["origin"] == "environment"
    assert "hunter2" not in shown.out + listed.out
    assert "IFOOD_BROKER_URL" in shown.out


def test_the_page_about_configuration_is_not_stale(tmp_path):
    page = Program(tmp_path)("config", "--markdown").out

    written = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert written == page, "ifood-actors config --markdown > docs/configuration.md"


@pytest.mark.services
def test_db_upgrade_migrates_once_and_db_check_agrees(command, engine, database_url):
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE DATABASE fresh_for_cli"))
    fresh = urlsplit(database_url)._replace(path="/fresh_for_cli").geturl()
    try:
        before, preview, upgraded, again, after, listed = command.each(
            [
                ["db", "check", "--json"],
                ["db", "upgrade", "--dry-run"],
                ["db", "upgrade"],
                ["db", "upgrade"],
                ["db", "check"],
                ["db", "check", "--json"],
            ],
            IFOOD_DATABASE_URL=fresh,
        )
    finally:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("DROP DATABASE fresh_for_cli WITH (FORCE)"))

    assert before.code == 1
    assert before.document["pending"]
    assert preview.out.startswith(f"would apply {len(before.document['pending'])} migration")
    assert upgraded.out.startswith("applied 0001")
    assert again.out == "the database is up to date\n"
    assert after.code == 0
    assert listed.document == {"pending": [], "differences": []}


@pytest.mark.services
def test_db_check_is_1_when_somebody_changed_the_schema(command, engine):
    with transaction(engine) as tx:
        tx.execute(text("ALTER TABLE accounts ADD COLUMN nickname text"))

    answer = command("db", "check")

    assert answer.code == 1
    assert "nickname" in answer.out


@pytest.mark.services
def test_an_application_is_added_with_a_secret_that_is_shown_nowhere(command, engine, tmp_path):
    file = tmp_path / "secret"
    file.write_text("hunter2-file\n")

    piped = command(*ADD, stdin="hunter2-piped\n")
    others = command.each(
        [[*ADD, "--dry-run"], [*ADD, "--client-secret-file", "secret"], ["apps", "list"]],
        IFOOD_CLIENT_SECRET="hunter2-variable",
    )
    listed = command("apps", "list", "--json")

    assert piped.out == "application north: added\n"
    assert others[0].out == "would replace the credentials of application north\n"
    assert others[1].out == "application north: credentials replaced\n"
    assert listed.document[0]["client_id"] == "client-1"
    assert "hunter2" not in "".join(one.out + one.err for one in (piped, listed, *others))
    with transaction(engine) as tx:
        stored = tx.execute(text("SELECT client_secret_encrypted FROM ifood_apps")).scalar_one()
    keys = Fernet(command.settings["IFOOD_ENCRYPTION_KEYS"])
    assert keys.decrypt(stored.encode()) == b"hunter2-file"


@pytest.mark.services
def test_an_application_is_refused_without_a_key_and_without_a_secret(command):
    no_key = command(*ADD, stdin="hunter2", IFOOD_ENCRYPTION_KEYS="")
    no_secret = command(*ADD)

    assert (no_key.code, no_secret.code) == (2, 2)
    assert "IFOOD_ENCRYPTION_KEYS is not set" in no_key.err
    assert "no client secret" in no_secret.err


@pytest.mark.services
def test_accounts_are_imported_exported_and_imported_again(command, tmp_path):
    lines = [
        "name;ifood_merchant_id;priority;active",
        f"=Mais Sabor;{M};5;sim",
        f"Açaí do Zé;{N};0;não",
    ]
    (tmp_path / "accounts.csv").write_text("\n".join(lines), encoding="utf-8-sig")

    preview, done, again, listed, table = command.each(
        [
            ["accounts", "import", "accounts.csv", "--dry-run"],
            ["accounts", "import", "accounts.csv"],
            ["accounts", "import", "accounts.csv"],
            ["accounts", "list", "--json"],
            ["accounts", "list", "--inactive"],
        ]
    )
    exported = command("accounts", "export")
    back = command("accounts", "import", "-", stdin=exported.out)

    assert preview.out == "would be: 2 inserted, 0 updated, 0 unchanged\n"
    assert done.out == "2 inserted, 0 updated, 0 unchanged\n"
    assert "2 accounts without an application" in done.err
    assert again.out == "0 inserted, 0 updated, 2 unchanged\n"
    assert [row["name"] for row in listed.document] == ["=Mais Sabor", "Açaí do Zé"]
    assert "Açaí do Zé" in table.out
    assert "Mais Sabor" not in table.out
    assert f"'=Mais Sabor,{M},America/Sao_Paulo,5,true," in exported.out
    assert back.out == "0 inserted, 0 updated, 2 unchanged\n"


def lojas(file: Path, *rows: tuple[object, ...]) -> None:
    """Write a workbook as a person has it: a sheet of notes, and the stores on the second."""
    book = Workbook()
    sheet = book.create_sheet("Lojas")
    for row in (("Nome", "Merchant ID", "CNPJ", "Grupo"), *rows):
        sheet.append(row)
    book.save(file)


@pytest.mark.services
def test_a_workbook_is_imported_and_its_cnpj_and_group_come_back(command, tmp_path):
    cnpj = "14.380.200/0001-21"
    lojas(tmp_path / "lojas.xlsx", ("Açaí", M.upper(), cnpj, "Rede Sul"), (1900, f"{{{N}}}"))
    lojas(tmp_path / "bad.xlsx", ("Açaí", 4078865), ("Bar", M, 14380200000122), ("Total", 2))
    read = ["accounts", "import", "lojas.xlsx"]

    first_sheet, done, bad, by_group, by_cnpj = command.each(
        [
            read,
            [*read, "--sheet", "Lojas"],
            ["accounts", "import", "bad.xlsx", "--sheet", "Lojas"],
            ["accounts", "list", "--group", "Rede Sul", "--json"],
            ["accounts", "list", "--cnpj", "14380200000121", "--json"],
        ]
    )
    exported = command("accounts", "export")
    back = command("accounts", "import", "-", stdin=exported.out)

    assert first_sheet.code == 2
    assert "lojas.xlsx, the file is empty: expected a header with" in first_sheet.err
    assert done.out == "2 inserted, 0 updated, 0 unchanged\n"
    assert bad.code == 2
    problems = [line.removeprefix("ifood-actors: ") for line in bad.err.splitlines()]
    assert [line.partition(": expected")[0] for line in problems] == [
        "bad.xlsx, row 2, ifood_merchant_id",
        "bad.xlsx, row 3, cnpj",
        "bad.xlsx, row 4: found 'Total' and no merchant id: leave out totals",
        "nothing was imported",
    ]
    assert by_group.document == by_cnpj.document
    [account] = by_cnpj.document
    assert (account["name"], account["cnpj"]) == ("Açaí", "14380200000121")
    assert f"Açaí,{M},America/Sao_Paulo,0,true,,{cnpj},Rede Sul\n" in exported.out
    assert back.out == "0 inserted, 0 updated, 2 unchanged\n"


@pytest.mark.services
def test_a_bad_file_names_all_its_bad_lines_and_imports_nothing(command, tmp_path):
    (tmp_path / "bad.csv").write_text(
        f"name,ifood_merchant_id,priority\n,{M},1\nB,{N},high\nC,{P},1\n"
    )

    bad, listed = command.each([["accounts", "import", "bad.csv"], ["accounts", "list", "--json"]])

    assert (bad.code, bad.out) == (2, "")
    assert "bad.csv, line 2, name: " in bad.err
    assert "bad.csv, line 3, priority: " in bad.err
    assert bad.err.endswith("nothing was imported\n")
    assert listed.document == []


@pytest.mark.services
def test_who_joins_in_an_open_window_is_told_when_the_first_run_is(command, tmp_path):
    now = datetime.now(ZoneInfo("America/Sao_Paulo"))
    start, end, later = (now + timedelta(hours=n) for n in (-1, 2, 3))
    windows = {
        "IFOOD_SALES_WINDOW": f"daily {start:%H:%M}-{end:%H:%M}",
        "IFOOD_ANTICIPATIONS_WINDOW": f"daily {end:%H:%M}-{later:%H:%M}",
        "IFOOD_SETTLEMENTS_WINDOW": f"{WEEKDAYS[(now.weekday() + 3) % 7]} 08:00-12:00",
    }
    (tmp_path / "a.csv").write_text(
        "name;ifood_merchant_id\nA;00000000-0000-4000-8000-000000000001\n"
    )

    imported, again, disabled, enabled = command.each(
        [
            ["accounts", "import", "a.csv"],
            ["accounts", "import", "a.csv"],
            ["accounts", "disable", "A"],
            ["accounts", "enable", "A"],
        ],
        **windows,
    )

    told = (
        "the window of sales is open, and what joins now runs in the next one, "
        f"{start + timedelta(days=1):%Y-%m-%d %H:%M} America/Sao_Paulo; "
        "to run it now: `ifood-actors plan sales`\n"
    )
    assert imported.err.endswith(told)
    assert enabled.err == told
    assert "the window" not in again.err + disabled.err


@pytest.mark.services
def test_enabling_an_account_tells_of_its_jobs_that_were_cancelled(command, engine):
    jobs = make_jobs(engine, 2)
    names = [job.merchant_id for job in jobs]
    command("accounts", "disable", *names)
    dispatch(engine, jobs[0].id)
    assert claim(engine, jobs[0].id) is None

    enabled = command("accounts", "enable", *names)
    requeue = "jobs requeue --status cancelled --since 24h --account"
    requeued = command(*requeue.split(), names[0])

    assert "1 job of the last 24 hours stay cancelled" in enabled.err
    assert f"`ifood-actors {requeue} NAME`" in enabled.err
    assert requeued.out == "requeued 1, skipped 0\n"


@pytest.mark.services
def test_accounts_are_disabled_and_enabled_by_name(command, tmp_path):
    (tmp_path / "accounts.csv").write_text(f"name,ifood_merchant_id\nA,{M}\nB,{N}\n")

    _, preview, disabled, unknown, listed, enabled = command.each(
        [
            ["accounts", "import", "accounts.csv"],
            ["accounts", "disable", "A", "--dry-run"],
            ["accounts", "disable", "A", N.upper()],
            ["accounts", "enable", "A", "X"],
            ["accounts", "list", "--active", "--json"],
            ["accounts", "enable", "A", "B"],
        ]
    )

    assert preview.out == "would have disabled 1 account, 0 already disabled\n"
    assert disabled.out == "disabled 2 accounts, 0 already disabled\n"
    assert (unknown.code, unknown.err) == (2, "ifood-actors: no such account: 'X'\n")
    assert listed.document == []
    assert enabled.out == "enabled 2 accounts, 0 already enabled\n"


@pytest.mark.services
def test_stores_are_discovered_over_the_api(command, ifood):
    command.settings |= {
        "IFOOD_API_BASE_URL": ifood.url,
        "IFOOD_API_ALLOW_HOST": "127.0.0.1",
        "IFOOD_CLIENT_SECRET": ifood.settings.apps[0].client_secret,
    }
    client_id = ifood.settings.apps[0].client_id
    discover = ["accounts", "discover", "--app", "north"]

    _, unknown, preview, done, again, listed = command.each(
        [
            ["apps", "add", "north", "--client-id", client_id, "--kind", "centralized"],
            ["accounts", "discover", "--app", "west"],
            [*discover, "--dry-run"],
            [*discover, "--inactive"],
            discover,
            ["accounts", "list", "--json"],
        ]
    )

    assert (unknown.code, "no such application: 'west'" in unknown.err) == (2, True)
    assert preview.out == "would be: 5 inserted, 0 updated, 0 unchanged\n"
    assert done.out == "5 inserted, 0 updated, 0 unchanged\n"
    assert again.out == "0 inserted, 0 updated, 5 unchanged\n"
    assert {row["ifood_merchant_id"] for row in listed.document} == {
        merchant.id for merchant in ifood.merchants()
    }
    assert not any(row["active"] for row in listed.document)


@pytest.mark.services
def test_accounts_that_ifood_does_not_list_are_told(command, ifood):
    command.settings |= {
        "IFOOD_API_BASE_URL": ifood.url,
        "IFOOD_API_ALLOW_HOST": "127.0.0.1",
        "IFOOD_CLIENT_SECRET": ifood.settings.apps[0].client_secret,
    }
    (command.folder / "more.csv").write_text(
        f"name,ifood_merchant_id,app,group\nNobody's,{M},north,Sul\nHome,{N},,Norte\n"
    )
    check = ["accounts", "check"]

    add = ["--client-id", ifood.settings.apps[0].client_id, "--kind", "centralized"]

    *_, ours, _, done, some, told, listed = command.each(
        [
            ["apps", "add", "north", *add],
            ["accounts", "discover", "--app", "north"],
            check,
            ["accounts", "import", "more.csv"],
            check,
            [*check, "--group", "Norte", "--json"],
            [*check, "--json"],
            ["accounts", "list", "--active", "--json"],
        ]
    )

    assert (ours.code, ours.out) == (0, "5 accounts: 0 that iFood does not list as ours\n")
    assert done.code == 1
    lines = done.out.splitlines()
    assert re.fullmatch(rf"Home +{N} +- +no_application +it has no application.+", lines[1])
    assert re.fullmatch(rf"Nobody's +{M} +north +not_listed +iFood has no such .+", lines[2])
    assert lines[3:] == ["7 accounts: 2 that iFood does not list as ours"]
    assert (some.document["checked"], some.document["ours"]) == (1, 0)
    assert (told.code, told.document["checked"], told.document["ours"]) == (1, 7, 5)
    assert {each["presence"] for each in told.document["others"]} == {
        "not_listed",
        "no_application",
    }
    assert len(listed.document) == 7


@pytest.mark.services
def test_accounts_are_not_checked_where_ifood_does_not_listen(command):
    nowhere = {"IFOOD_API_BASE_URL": "http://127.0.0.1:1", "IFOOD_API_ALLOW_HOST": "127.0.0.1"}
    (command.folder / "north.csv").write_text(f"name,ifood_merchant_id,app\nHome,{N},north\n")

    *_, checked = command.each(
        [[*ADD], ["accounts", "import", "north.csv"], ["accounts", "check"]],
        **nowhere,
        IFOOD_CLIENT_SECRET="hunter2",
    )

    assert (checked.code, checked.out) == (3, "")
    assert checked.err.startswith("ifood-actors: iFood at http://127.0.0.1:1: ")


@pytest.mark.services
def test_an_api_that_cannot_be_reached_is_3(command):
    command.settings |= {
        "IFOOD_API_BASE_URL": "http://127.0.0.1:1",
        "IFOOD_API_ALLOW_HOST": "127.0.0.1",
        "IFOOD_CLIENT_SECRET": "hunter2",
    }
    discover = ["accounts", "discover", "--app", "north"]

    _, answer, too_soon = command.each([ADD, discover, discover])

    assert (answer.code, answer.out) == (3, "")
    assert answer.err.startswith("ifood-actors: iFood at http://127.0.0.1:1")
    assert too_soon.code == 1
    assert re.search(r"is not asked now: .+; try again in [1-9]\S*s$", too_soon.err)
