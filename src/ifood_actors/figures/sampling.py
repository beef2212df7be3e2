"""Reads the statements of figures and of alert rules."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from ifood_actors.config import Settings
from ifood_actors.db import rows_of
from ifood_actors.figures.figure import Sample
from ifood_actors.ledger import JobStatus
from ifood_actors.planning.planner import latest_openings, patience
from ifood_actors.renewal.policy import EXPIRING


def read_rows(connection: Connection, statement: str, settings: Settings) -> list[dict[str, Any]]:
    """Give the rows of a figure's statement. Raises DBAPIError."""
    allowed = patience(settings)
    values = {
        "kinds": list(allowed),
        "statuses": [status.value for status in JobStatus],
        "patience": list(allowed.values()),
        "expiring": EXPIRING,
        **latest_openings(settings, at=datetime.now(UTC)),
    }
    return rows_of(connection, statement, **values)


def read_samples(connection: Connection, statement: str, settings: Settings) -> list[Sample]:
    """Give the samples of a rule: its columns `subject` and `value`, and all others as facts."""
    rows = read_rows(connection, statement, settings)
    return [Sample(str(row.pop("subject")), float(row.pop("value")), row) for row in rows]
