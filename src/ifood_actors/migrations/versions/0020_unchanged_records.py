"""Rows that did not change are not written: a digest beside each, and the pulls that saw them."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

STATEMENTS = Path(__file__).with_suffix("")
TABLES = ("ifood_settlements", "ifood_anticipations", "ifood_sales")
# A server may be built without it.
COMPRESS_RAW = """
DO $$ BEGIN
  IF 'lz4' = ANY ((SELECT enumvals FROM pg_catalog.pg_settings
      WHERE name = 'default_toast_compression')::text[]) THEN
    ALTER TABLE {table} ALTER COLUMN raw SET COMPRESSION lz4;
  END IF;
END $$
"""


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column("digest", sa.LargeBinary()))
        op.add_column(table, sa.Column("digested_at", sa.DateTime(timezone=True)))
    for table in (*TABLES, "ifood_record_versions"):
        op.execute(COMPRESS_RAW.format(table=table))
    op.create_table(
        "ifood_complete_pulls",
        sa.Column("merchant_id", sa.Text(), nullable=False),
        sa.Column("record_table", sa.Text(), nullable=False),
        sa.Column("period_start", sa.Date(), nullable=False),
        sa.Column("period_end", sa.Date(), nullable=False),
        sa.Column("pulled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint(
            "merchant_id",
            "record_table",
            "period_start",
            "period_end",
            name=op.f("pk_ifood_complete_pulls"),
        ),
    )
    part = _read("last_seen_of")
    parts = "UNION ALL\n".join(part.format(table=table) for table in TABLES)
    op.execute(_read("last_seen").format(parts=parts))
    for name in ("titles", "forget_raw"):
        op.execute(_read(name))


def _read(name: str) -> str:
    return (STATEMENTS / f"{name}.sql").read_text(encoding="utf-8")
