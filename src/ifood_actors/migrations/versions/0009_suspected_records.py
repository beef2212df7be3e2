"""Rows that went with all the others: suspected by one day's run, missing by that of another."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("ifood_settlements", "ifood_anticipations", "ifood_sales"):
        op.add_column(table, sa.Column("suspected_since", sa.DateTime(timezone=True)))
        op.add_column(table, sa.Column("suspected_day", sa.Date()))
