"""Names and filters that try to be SQL, a formula or a line of their own, through every command."""

import csv
import re
from io import StringIO
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text
from support.program import Program
from support.rows import make_app, make_jobs, merchant

from ifood_actors.db import transaction

pytestmark = pytest.mark.services

SQL = (
    "'; DROP TABLE ifood_jobs; --",
    "' OR '1'='1",
    "x') OR true --",
    "%",
    ":name",
    "{0}",
    "\\'; DELETE FROM accounts; --",
    "$$; TRUNCATE accounts CASCADE; $$",
)
FIRST_OF_FORMULAS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "=HYPERLINK(0)", "\uff1d1+1")


@pytest.fixture
def command(tmp_path: Path, database_url: str) -> Program:
    settings = {
        "IFOOD_DATABASE_URL": database_url,
        "IFOOD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    }
    return Program(tmp_path, settings)


def counts(engine: Engine) -> tuple[int, int, int]:
    with transaction(engine) as tx:
        row = tx.execute(
            text("""
                SELECT (SELECT count(*) FROM ifood_jobs WHERE status = 'pending'),
                  (SELECT count(*) FROM accounts WHERE active), (SELECT count(*) FROM ifood_apps)
            """)
        ).one()
        return (row[0], row[1], row[2])


def test_no_filter_is_read_as_sql(command, engine):
    make_jobs(engine, 3, app_id=make_app(engine))
    before = counts(engine)
    filters = [
        ["jobs", "list", "--json", "--account", "{}"],
        ["jobs", "list", "--json", "--error-code", "{}"],
        ["jobs", "list", "--json", "--kind", "{}"],
        ["jobs", "list", "--json", "--status", "{}"],
        ["jobs", "list", "--json", "--since", "{}"],
        ["jobs", "show", "{}"],
        ["jobs", "requeue", "--failed", "--account", "{}"],
        ["jobs", "requeue", "--error-code", "{}"],
        ["jobs", "cancel", "--account", "{}"],
        ["jobs", "cancel", "{}"],
        ["accounts", "list", "--json", "--app", "{}"],
        ["accounts", "disable", "{}"],
        ["accounts", "enable", "{}"],
        ["accounts", "discover", "--app", "{}"],
        ["apps", "tokens", "--json", "--app", "{}"],
        ["apps", "authorize", "{}", "--label", "x"],
        ["plan", "sales", "--account", "{}"],
        ["plan", "{}"],
    ]

    asked = [[word.replace("{}", sql) for word in words] for words in filters for sql in SQL[:3]]
    done = command.each(asked)

    assert counts(engine) == before
    for words, outcome in zip(asked, done, strict=True):
        found = outcome.code == 0 and re.search(r"[1-9]|\w+:", outcome.out)
        assert not found, (words, outcome)
        assert "syntax" not in outcome.err.lower(), (words, outcome)
        assert "Postgres" not in outcome.err, (words, outcome)


def test_whatever_a_name_says_it_is_only_a_name(command, engine):
    names = (*SQL, *FORMULAS)
    sheet = StringIO()
    writer = csv.writer(sheet)
    writer.writerow(["name", "ifood_merchant_id", "app"])
    writer.writerows([name, merchant(number), SQL[0]] for number, name in enumerate(names))
    (command.folder / "accounts.csv").write_text(sheet.getvalue())
    add = ["apps", "add", SQL[0], "--client-id", SQL[1], "--kind", "centralized"]

    done = command.each(
        [
            add,
            ["accounts", "import", "accounts.csv"],
            ["accounts", "list", "--json"],
            *(["accounts", "disable", "--", name] for name in names),
            ["accounts", "export"],
        ],
        IFOOD_CLIENT_SECRET="hunter2",
    )

    assert [outcome.code for outcome in done] == [0] * len(done), done
    listed = {account["name"]: account["app"] for account in done[2].document}
    assert listed == dict.fromkeys(names, SQL[0])
    assert counts(engine) == (0, 0, 1)
    cells = [cell for row in csv.reader(StringIO(done[-1].out)) for cell in row]
    assert not [cell for cell in cells if cell.startswith(FIRST_OF_FORMULAS)]
    assert {f"'{name}" for name in FORMULAS} < set(cells)
