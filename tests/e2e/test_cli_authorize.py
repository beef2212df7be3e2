"""`apps authorize` and `apps tokens`: an owner confirms, and the program does the rest."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from support.distributed import BOOKSHOP, KEY
from support.logins import with_logins
from support.program import PROGRAM, Outcome, Program

import ifood_simulator
from ifood_actors.db import transaction
from ifood_simulator import App, Fault, Settings, Simulator

pytestmark = pytest.mark.services

CENTRAL = App(name="central")
CODE = re.compile(r"confirms the code ([A-Z0-9-]+)")


@pytest.fixture(scope="module")
def ifood() -> Iterator[Simulator]:
    settings = Settings(merchants=6, apps=(BOOKSHOP, CENTRAL), oauth_per_minute=None)
    with ifood_simulator.running(settings) as running:
        yield running


@pytest.fixture
def command(tmp_path: Path, database_url: str, ifood: Simulator) -> Program:
    command = Program(
        tmp_path,
        {
            "IFOOD_DATABASE_URL": database_url,
            "IFOOD_ENCRYPTION_KEYS": KEY,
            "IFOOD_API_BASE_URL": ifood.url,
            "IFOOD_API_ALLOW_HOST": "127.0.0.1",
        },
    )
    for app in ifood.settings.apps:
        add = ("apps", "add", app.name, "--client-id", app.client_id, "--kind", app.kind)
        assert command(*add, stdin=f"{app.client_secret}\n").code == 0
    return command


@pytest.fixture
def stores(ifood: Simulator) -> list[str]:
    return [merchant.id for merchant in ifood.merchants() if merchant.app == BOOKSHOP]


def confirm(ifood: Simulator, user_code: str, merchants: list[str]) -> str:
    """Do what the owner does in the portal, over the control endpoint."""
    request = urllib.request.Request(  # noqa: S310 - the simulator's own URL
        f"{ifood.url}/_simulator/authorize",
        data=json.dumps({"userCode": user_code, "merchants": merchants}).encode(),
        method="POST",
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - the same
        code: str = json.load(answer)["authorizationCode"]
    return code


def authorize(
    command: Program, ifood: Simulator, merchants: list[str], *options: str, code: str = ""
) -> Outcome:
    """Run the command, and answer it once it has shown its code."""
    process = subprocess.Popen(
        [PROGRAM, "apps", "authorize", BOOKSHOP.name, *options],
        cwd=command.folder,
        env=with_logins(command.environment(), "apps", "authorize"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    shown = ""
    while not (found := CODE.search(shown)):
        line = process.stderr.readline()
        assert line, shown
        shown += line
    answer = code or confirm(ifood, found[1], merchants)
    out, err = process.communicate(f"{answer}\n", timeout=60)
    return Outcome(process.returncode, out, shown + err)


def test_an_owner_authorizes_stores_and_their_accounts_are_linked(
    command, ifood, stores, engine: Engine
):
    known = command.folder / "accounts.csv"
    known.write_text(f"name,ifood_merchant_id,app\nLuigi,{stores[0]},bookshop\n")
    command("accounts", "import", "accounts.csv")

    done = authorize(command, ifood, stores[:2], "--label", "Maria")

    assert done.code == 0, done.err
    assert f"{ifood.url}/apps/code?c=" in done.err
    assert "application bookshop: authorization Maria stored" in done.out
    assert "1 account linked: Luigi" in done.out
    assert f"no account yet: {stores[1]}" in done.out
    assert "accounts discover --app bookshop" in done.err

    discovered, checked = command.each(
        [["accounts", "discover", "--app", "bookshop"], ["accounts", "check"]]
    )
    assert discovered.out == "1 inserted, 0 updated, 1 unchanged\n"
    assert checked.out == "2 accounts: 0 that iFood does not list as ours\n"
    with transaction(engine) as tx:
        linked = tx.execute(
            text("SELECT count(*) FROM accounts WHERE authorization_id IS NOT NULL")
        ).scalar_one()
    assert linked == 2


def test_what_an_owner_gave_is_told_to_a_program(command, ifood, stores):
    done = authorize(command, ifood, stores[:1], "--label", "Maria", "--json")

    told = done.document
    [unknown] = told.pop("without_account")
    assert told == {
        "application": "bookshop",
        "authorization": "Maria",
        "accounts": [],
        "unlinked": [],
    }
    assert unknown["merchant_id"] == stores[0]


def test_what_an_owner_gave_is_listed_with_its_life_and_without_its_tokens(command, ifood, stores):
    authorize(command, ifood, stores, "--label", "Maria")
    command("accounts", "discover", "--app", "bookshop")

    listed, shown, document, apps, apps_json = command.each(
        [
            ["apps", "tokens", "bookshop"],
            ["apps", "tokens"],
            ["apps", "tokens", "--json"],
            ["apps", "list"],
            ["apps", "list", "--json"],
        ]
    )

    [maria] = document.document["authorizations"]
    assert (maria["authorization"], maria["state"], maria["accounts"]) == ("Maria", "fresh", 3)
    assert "eyJ" not in listed.out + shown.out + document.out
    windows = {window["kind"]: window for window in document.document["windows"]}
    assert set(windows) == {"sales", "anticipations_daily", "settlements_weekly"}
    first = datetime.fromisoformat(windows["settlements_weekly"]["first_at"])
    opens = datetime.fromisoformat(windows["settlements_weekly"]["opens_at"])
    # Two hours before it at most, and within its four hours if the token of now lives until then.
    assert -4 * 3600 <= (opens - first).total_seconds() <= 2 * 3600
    assert "Maria" in listed.out
    rows = {row["name"]: row for row in apps_json.document}
    assert rows["bookshop"]["kind"] == "distributed"
    assert rows["bookshop"]["authorizations"] == 1
    assert rows["bookshop"]["needs_authorization"] == 0
    assert "distributed" in apps.out


def test_an_authorization_that_needs_its_owner_says_so(command, ifood, stores, engine: Engine):
    authorize(command, ifood, stores, "--label", "Maria")
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_authorizations SET needs_authorization_since = now()"))

    shown, listed, doctor = command.each(
        [["apps", "tokens"], ["apps", "list", "--json"], ["doctor", "--json"]]
    )

    assert "needs authorization" in shown.out
    assert "apps authorize" in shown.err
    rows = {row["name"]: row for row in listed.document}
    assert rows["bookshop"]["needs_authorization"] == 1
    found = {finding["check"]: finding for finding in doctor.document}
    assert found["authorizations"]["verdict"] == "warning"
    assert "1 need their owner" in found["authorizations"]["detail"]


def test_an_authorization_is_tried_again_by_hand(command, ifood, stores, engine: Engine):
    authorize(command, ifood, stores, "--label", "Maria")
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_authorizations SET needs_authorization_since = now()"))
    ifood.add_fault(Fault("refused_refresh", times=1))

    preview, refused, done, unknown, acts = command.each(
        [
            ["apps", "retry", "bookshop", "Maria", "--dry-run"],
            ["apps", "retry", "bookshop", "Maria"],
            ["apps", "retry", "bookshop", "Maria", "--json"],
            ["apps", "retry", "bookshop", "Ana"],
            ["acts", "--json"],
        ]
    )

    assert "would ask iFood" in preview.out
    assert refused.code == 1
    assert "Maria has no authorization that works" in refused.err
    assert done.document == {"dry_run": False, "application": "bookshop", "authorization": "Maria"}
    assert unknown.code == 2
    assert "no authorization 'Ana'" in unknown.err
    assert [row["act"] for row in acts.document].count("apps retry") == 1
    [maria] = command("apps", "tokens", "bookshop", "--json").document["authorizations"]
    assert maria["needs_authorization_since"] is None


def test_accounts_that_moved_to_another_application_need_its_authorization(command, ifood, stores):
    other = ("apps", "add", "other", "--client-id", "other", "--kind", "distributed")
    assert command(*other, stdin="other-secret\n").code == 0
    authorize(command, ifood, stores, "--label", "Maria")
    command("accounts", "discover", "--app", "bookshop")
    moved = command.folder / "moved.csv"
    moved.write_text(f"name,ifood_merchant_id,app\nLuigi,{stores[0]},other\n")

    before = command("doctor", "--json")
    command("accounts", "import", "moved.csv")
    after = command("doctor", "--json")

    told = [
        next(finding for finding in answer.document if finding["check"] == "authorizations")
        for answer in (before, after)
    ]
    assert [finding["verdict"] for finding in told] == ["ok", "warning"]
    assert told[1]["detail"].endswith("; 1 without one")
    [maria] = command("apps", "tokens", "bookshop", "--json").document["authorizations"]
    assert maria["accounts"] == 2


def test_a_label_in_use_is_refused_before_any_code_is_asked_for(command, ifood, stores):
    authorize(command, ifood, stores[:2], "--label", "Maria")
    command("accounts", "discover", "--app", "bookshop")
    before = command("apps", "tokens", "--json").document["authorizations"]
    seen = len(ifood.journal_since())

    refused = command("apps", "authorize", BOOKSHOP.name, "--label", "Maria")

    assert refused.code == 2
    assert "authorization Maria works, and reads 2 accounts, such as " in refused.err
    assert "--yes to replace it" in refused.err
    assert len(ifood.journal_since()) == seen
    assert command("apps", "tokens", "--json").document["authorizations"] == before


def test_accounts_that_a_replaced_authorization_covers_no_more_are_unlinked(
    command, ifood, stores, engine: Engine
):
    authorize(command, ifood, stores[:2], "--label", "Maria")
    command("accounts", "discover", "--app", "bookshop")

    done = authorize(command, ifood, stores[1:], "--label", "Maria", "--yes")

    assert done.code == 0, done.err
    assert "1 account linked no more: " in done.out
    assert f"no account yet: {stores[2]}" in done.out
    with transaction(engine) as tx:
        linked = tx.execute(
            text("SELECT ifood_merchant_id FROM accounts WHERE authorization_id IS NOT NULL")
        )
        assert list(linked.scalars()) == [stores[1]]
    [maria] = command("apps", "tokens", "--json").document["authorizations"]
    assert (maria["authorization"], maria["accounts"]) == ("Maria", 1)


def test_one_that_needs_its_owner_is_replaced_without_a_question(
    command, ifood, stores, engine: Engine
):
    authorize(command, ifood, stores, "--label", "Maria")
    with transaction(engine) as tx:
        tx.execute(text("UPDATE ifood_authorizations SET needs_authorization_since = now()"))

    assert authorize(command, ifood, stores, "--label", "Maria").code == 0


def test_a_wrong_code_stores_nothing(command, ifood, stores):
    done = authorize(command, ifood, stores, code="wrong-code")

    assert (done.code, done.out) == (1, "")
    assert "refused: 401 Invalid authorization code" in done.err
    assert command("apps", "tokens", "--json").document["authorizations"] == []


def test_no_code_at_all_is_2_and_stores_nothing(command):
    done = command("apps", "authorize", BOOKSHOP.name)

    assert done.code == 2
    assert "no authorization code was given" in done.err


def test_a_centralised_application_has_no_owners(command):
    done = command("apps", "authorize", "central")

    assert done.code == 2
    assert "linked in iFood's portal" in done.err
