"""Forgetting former versions, rejected items, and the whole items that came with records."""

from datetime import datetime

from sqlalchemy import Connection, text

from ifood_actors.feeds.records import Record
from ifood_actors.ledger.retention import BATCH, Swept

_VERSIONS = text("""
    WITH seen AS (
      SELECT id, valid_to FROM ifood_record_versions WHERE id > :after ORDER BY id LIMIT :batch),
    gone AS (
      DELETE FROM ifood_record_versions AS version USING seen
      WHERE version.id = seen.id AND seen.valid_to < :before RETURNING 1)
    SELECT coalesce(max(id), 0) AS up_to, (SELECT count(*) FROM gone) AS forgotten,
      max(valid_to) AS youngest
    FROM seen
""")

_REJECTED = text("""
    WITH seen AS (
      SELECT id, last_seen_at FROM ifood_rejected_items WHERE id > :after
      ORDER BY id LIMIT :batch),
    gone AS (
      DELETE FROM ifood_rejected_items AS item USING seen
      WHERE item.id = seen.id AND item.last_seen_at < :before RETURNING 1)
    SELECT coalesce(max(id), 0) AS up_to, (SELECT count(*) FROM gone) AS forgotten,
      max(last_seen_at) AS youngest
    FROM seen
""")

_RAW = text("SELECT * FROM ifood_forget_raw(CAST(:table AS regclass), :before, :after, :batch)")


def forget_versions(connection: Connection, /, *, before: datetime, after: int) -> Swept:
    """Delete what was replaced before an instant, among the first rows behind the id `after`."""
    values = {"before": before, "after": after, "batch": BATCH}
    return Swept(**connection.execute(_VERSIONS, values).mappings().one())


def forget_rejected_items(connection: Connection, /, *, before: datetime, after: int) -> Swept:
    """Delete what was last seen before an instant, among the first rows behind the id `after`."""
    values = {"before": before, "after": after, "batch": BATCH}
    return Swept(**connection.execute(_REJECTED, values).mappings().one())


def forget_raw(
    table: type[Record], connection: Connection, /, *, before: datetime, after: int
) -> Swept:
    """
    Empty `raw` of records that were last seen before an instant; their columns stay.

    Looks at the first rows whose id is larger than `after`. Postgres refuses an instant that is
    less than 90 days ago.
    """
    values = {"table": table.__tablename__, "before": before, "after": after, "batch": BATCH}
    return Swept(**connection.execute(_RAW, values).mappings().one())
