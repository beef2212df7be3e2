"""Forgetting former versions, rejected items, and the whole items that came with records."""

from datetime import datetime

from sqlalchemy import Connection, text

from ifood_actors import forgetting
from ifood_actors.forgetting import Swept, sweep

_RAW = text("SELECT * FROM ifood_forget_raw(CAST(:table AS regclass), :before, :after, :batch)")


def forget_versions(connection: Connection, /, *, before: datetime, after: int) -> Swept:
    """Delete what was replaced before an instant, among the first rows behind the id `after`."""
    return sweep(connection, "ifood_record_versions", by="valid_to", before=before, after=after)


def forget_rejected_items(connection: Connection, /, *, before: datetime, after: int) -> Swept:
    """Delete what was last seen before an instant, among the first rows behind the id `after`."""
    return sweep(connection, "ifood_rejected_items", by="last_seen_at", before=before, after=after)


def forget_raw(table: str, connection: Connection, /, *, before: datetime, after: int) -> Swept:
    """
    Empty `raw` of the records in a table that were last seen before an instant; their columns stay.

    Looks at the first rows whose id is larger than `after`. Postgres refuses an instant that is
    less than 90 days ago.
    """
    batch = forgetting.BATCH
    values = {"table": table, "before": before, "after": after, "batch": batch}
    return Swept(**connection.execute(_RAW, values).mappings().one())
