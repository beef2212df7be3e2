"""docs/data-model.md names every column that others may rely on."""

import re
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from ifood_actors.accounts import Account
from ifood_actors.feeds import FEEDS, Record
from ifood_actors.feeds.complete_pulls import CompletePull
from ifood_actors.feeds.records import RecordVersion
from ifood_actors.feeds.rejected import RejectedItem
from ifood_actors.ledger.job_tables import Job, JobEvent, LeftOut, Run
from ifood_actors.operator_acts import OperatorAct

PAGE = (Path(__file__).parents[2] / "docs" / "data-model.md").read_text()
COMMON = set(Record.model_fields)
OURS = [Account, Run, Job, JobEvent, LeftOut, OperatorAct]
OURS += [RecordVersion, CompletePull, RejectedItem]
TABLES = [*OURS, *(feed.table for feed in FEEDS.values())]


def told(heading: str) -> set[str]:
    """Name the columns that the first cells of a section's table hold."""
    [section] = re.findall(rf"^### {heading}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    cells = re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", " ".join(cells)))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.__tablename__))
def test_every_column_of_a_table_is_told_and_no_other(table: type[SQLModel]):
    own = set(table.model_fields) - (COMMON if issubclass(table, Record) else set())

    assert told(f"`{table.__tablename__}`") == own


def test_what_all_records_have_is_told_once():
    assert told("Columns of every record") == COMMON
