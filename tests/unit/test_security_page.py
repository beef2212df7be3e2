"""SECURITY.md speaks of everything that there is, and every test that it names exists."""

import re
from pathlib import Path

import pytest
import yaml
from sqlmodel import SQLModel

from ifood_actors.config.loading import SECRETS, variable
from ifood_actors.migrations import comparison

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text()


def part(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_every_secret_setting_is_among_the_credentials(name):
    assert f"`{variable(name)}`" in part("Credentials")


def test_every_table_is_told():
    assert comparison  # imports all of them
    tables = {*SQLModel.metadata.tables, "alembic_version"}

    assert tables - set(re.findall(r"`(\w+)`", part("Tables"))) == set()


def test_every_port_that_a_container_opens_is_told():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    opened = {port.rpartition(":")[2] for service in services for port in service.get("ports", [])}

    assert opened
    assert opened - set(re.findall(r"\b\d{4,5}\b", part("Ports"))) == set()


def test_every_test_that_it_names_exists():
    named = set(re.findall(r"`(\w+/test_\w+\.py)(?:::(test_\w+))?`", PAGE))

    missing = [
        (file, test)
        for file, test in named
        if f"def {test}" not in (ROOT / "tests" / file).read_text()
    ]
    assert len(named) > 40
    assert missing == []


def test_every_row_of_what_is_shown_names_a_test():
    tables = re.findall(r"^\| .* \| shown by \|\n\| [- |]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]

    assert len(rows) > 30
    assert [row for row in rows if "/test_" not in row.rsplit(" | ", 1)[1]] == []
