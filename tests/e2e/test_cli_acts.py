"""What each command leaves in `ifood_operator_acts`, and that without it nothing is done."""

import re
import socket
from collections import Counter
from collections.abc import Iterator
from getpass import getuser
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from e2e.command_table import ROWS
from e2e.test_cli_authorize import CODE, authorize
from sqlalchemy import Engine, make_url, text
from support.distributed import BOOKSHOP, KEY
from support.program import Program

import ifood_simulator
from ifood_actors.db import connect, transaction
from ifood_actors.operator_acts import ActRow, latest
from ifood_simulator import App, Settings, Simulator

pytestmark = pytest.mark.services

NEWER = Fernet.generate_key().decode()
CENTRAL = App(name="central", client_secret=BOOKSHOP.client_secret)
TABLES = (
    *("accounts", "ifood_apps", "ifood_authorizations", "ifood_runs", "ifood_jobs"),
    *("ifood_job_events", "ifood_named_limits", "ifood_operator_acts"),
)


@pytest.fixture(scope="module")
def ifood() -> Iterator[Simulator]:
    settings = Settings(merchants=6, apps=(CENTRAL, BOOKSHOP), oauth_per_minute=None)
    with ifood_simulator.running(settings) as running:
        yield running


@pytest.fixture
def command(tmp_path: Path, database_url: str, ifood: Simulator) -> Program:
    """Give the program as maria calls it where nobody is logged in, and a sheet of two stores."""
    (tmp_path / "two.csv").write_text("".join(ifood.accounts_csv().splitlines(keepends=True)[:3]))
    settings = {
        "IFOOD_DATABASE_URL": database_url,
        "IFOOD_ENCRYPTION_KEYS": KEY,
        "IFOOD_API_BASE_URL": ifood.url,
        "IFOOD_API_ALLOW_HOST": "127.0.0.1",
        "IFOOD_CLIENT_SECRET": CENTRAL.client_secret,
        "SUDO_USER": "maria",
    }
    return Program(tmp_path, settings)


def add(app: App) -> list[str]:
    return ["apps", "add", app.name, "--client-id", app.client_id, "--kind", app.kind]


def stores_of(ifood: Simulator, app: App) -> list[str]:
    return [merchant.id for merchant in ifood.merchants() if merchant.app == app]


def changing(ifood: Simulator) -> dict[str, list[list[str]]]:
    """Give calls that change something, in an order in which they do, by their command."""
    sales = ["--kind", "sales"]
    store = ifood.merchants()[0].id
    return {
        "apps add": [add(CENTRAL), add(CENTRAL), add(BOOKSHOP)],
        "accounts import": [["accounts", "import", "two.csv"]],
        "accounts disable": [["accounts", "disable", store]],
        "accounts enable": [["accounts", "enable", store]],
        "accounts discover": [["accounts", "discover", "--app", CENTRAL.name]],
        "apps retry": [["apps", "retry", CENTRAL.name]],
        "plan": [["plan", "sales", "--over", "1h", "--account", store]],
        "jobs cancel": [["jobs", "cancel", *sales]],
        "jobs requeue": [["jobs", "requeue", *sales, "--status", "cancelled"]],
        "limits reset": [["limits", "reset", CENTRAL.name]],
    }


def each(command: Program, calls: list[list[str]], **settings: str) -> list[int]:
    """Call all; the codes with which they end."""
    return [outcome.code for outcome in command.each(calls, **settings)]


def name_a_limit(engine: Engine) -> None:
    with transaction(engine) as tx:
        tx.execute(
            text("""
                INSERT INTO ifood_named_limits
                  (app_id, endpoint, endpoint_group, per_minute, since, heard_at)
                SELECT id, 'sales', 'financial', 60, now(), now() FROM ifood_apps
                WHERE name = 'central'
            """)
        )


def noted(engine: Engine) -> list[ActRow]:
    """Give what was noted, oldest first."""
    with transaction(engine) as tx:
        return latest(tx, since=None, limit=100)[::-1]


def everything(engine: Engine) -> dict[str, str]:
    with transaction(engine) as tx:
        return {
            name: str(tx.execute(text(f"SELECT array_agg(t ORDER BY t) FROM {name} AS t")).scalar())
            for name in TABLES
        }


@pytest.fixture
def done(
    command: Program, ifood: Simulator, engine: Engine, empty_database_url: str
) -> list[ActRow]:
    """Call every command that changes something, so that it does; give what it left."""
    calls = changing(ifood)
    assert set(each(command, calls.pop("apps add"))) == {0}
    name_a_limit(engine)
    codes = each(command, [call for several in calls.values() for call in several])
    assert set(codes) == {0}, codes
    owner = authorize(command, ifood, stores_of(ifood, BOOKSHOP))
    assert owner.code == 0, owner.err
    assert each(command, [["secrets", "rotate"]], IFOOD_ENCRYPTION_KEYS=f"{NEWER},{KEY}") == [0]
    assert each(command, [["db", "upgrade"]], IFOOD_DATABASE_URL=empty_database_url) == [0]

    upgraded = connect(empty_database_url, application_name="tests")
    left = [*noted(engine), *noted(upgraded)]
    upgraded.dispose()
    [code] = re.findall(CODE, owner.err)
    assert code not in str(left)
    return left


def test_every_command_that_changes_something_leaves_acts_that_tell_what_and_who(
    done, ifood, empty_database_url
):
    changes = {name for name, row in ROWS.items() if row.changes}
    counted = Counter(act.act for act in done)
    assert set(counted) == changes
    assert {name: number for name, number in counted.items() if number != 1} == {
        "apps add": 3,
        "apps authorize": 2,  # the authorization, and then its accounts
        "secrets rotate": 3,  # secrets, access tokens, refresh tokens
    }

    told = {act.act: (act.subject, act.detail or {}) for act in done}
    store = ifood.merchants()[0].id
    assert [act.detail["replaced"] for act in done if act.act == "apps add" and act.detail] == [
        *(False, True, False)
    ]
    assert told["apps add"][1]["client_id"] == BOOKSHOP.client_id
    assert (told["accounts import"][0], told["accounts import"][1]["inserted"]) == ("two.csv", 2)
    assert told["accounts disable"] == (None, {"changed": 1, "unchanged": 0, "names": [store]})
    assert (told["accounts discover"][0], told["accounts discover"][1]["inserted"]) == (
        "central",
        2,
    )
    assert (told["plan"][0], told["plan"][1]["jobs"]) == ("sales", 1)
    assert told["plan"][1]["only"] == [store]
    assert (told["jobs cancel"][1]["jobs"], len(told["jobs cancel"][1]["ids"])) == (1, 1)
    assert told["limits reset"] == ("central", {"forgotten": ["sales"]})
    assert "0016" in told["db upgrade"][1]["applied"]

    assert {act.actor for act in done} == {f"cli maria@{socket.gethostname()} as {getuser()}"}
    owner = make_url(empty_database_url).username  # of a database in which no other may log in
    assert {act.login for act in done if act.act == "db upgrade"} == {owner}
    assert {act.login for act in done if act.act != "db upgrade"} == {"ifood_admin"}
    for secret in (CENTRAL.client_secret, KEY, NEWER, "eyJ", "gAAAA"):  # tokens, what is encrypted
        assert secret not in str(done)


def test_what_changes_nothing_or_fails_leaves_no_act(command, ifood, engine):
    store = ifood.merchants()[0].id
    plan = ["plan", "sales", "--over", "1h", "--account", store]
    ready = [add(CENTRAL), add(BOOKSHOP), ["accounts", "import", "two.csv"], plan]
    assert set(each(command, ready)) == {0}
    before = noted(engine)
    (command.folder / "wrong.csv").write_text("name,ifood_merchant_id\nx,none\n")

    codes = each(
        command,
        [
            ["accounts", "import", "two.csv"],
            ["accounts", "import", "wrong.csv"],
            ["accounts", "enable", store],
            ["limits", "reset", CENTRAL.name],
            plan,
            ["secrets", "rotate"],
            ["db", "upgrade"],
        ],
    )

    assert codes == [0, 2, 0, 0, 0, 0, 0]
    assert len(before) == 4
    assert noted(engine) == before


def test_what_cannot_be_noted_is_not_done(command, ifood, engine):
    """The change and its act are one transaction: without the one there is not the other."""
    store = ifood.merchants()[0].id
    plan = ["plan", "sales", "--over", "1h", "--account", store]
    ready = [add(CENTRAL), add(BOOKSHOP), ["accounts", "import", "two.csv"], plan]
    assert set(each(command, ready)) == {0}
    name_a_limit(engine)
    with transaction(engine) as tx:
        tx.execute(
            text("ALTER TABLE ifood_operator_acts ADD CONSTRAINT no_room CHECK (false) NOT VALID")
        )
    before = everything(engine)
    (command.folder / "all.csv").write_text(ifood.accounts_csv())
    calls = [
        add(CENTRAL),
        ["accounts", "import", "all.csv"],
        ["accounts", "disable", store],
        ["plan", "anticipations_daily", "--over", "1h"],
        ["jobs", "cancel", "--kind", "sales"],
        ["limits", "reset", CENTRAL.name],
        ["secrets", "rotate"],
    ]

    answers = command.each(calls, IFOOD_ENCRYPTION_KEYS=f"{NEWER},{KEY}")
    answers.append(authorize(command, ifood, stores_of(ifood, BOOKSHOP), "--label", "Maria"))
    changed = everything(engine)
    # It makes the row in which the application's token is kept, which is no operator's change.
    answers += command.each([["accounts", "discover", "--app", CENTRAL.name]])

    for answer in answers:
        assert answer.code == 1, answer
        assert "ifood_operator_acts" in answer.err, answer
    assert changed == before
    assert everything(engine)["accounts"] == before["accounts"]
