"""What the alerts remember, and the schedulers' signs of life."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def instant(name: str, *, nullable: bool = True) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "ifood_alerts",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        instant("firing_since", nullable=False),
        instant("last_seen", nullable=False),
        instant("notified_at"),
        instant("resolved_at"),
        sa.Column("details", postgresql.JSONB, nullable=False),
        instant("locked_until"),
        sa.Column("owed_to", sa.ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.PrimaryKeyConstraint("name", "subject", name="pk_ifood_alerts"),
    )
    op.create_table(
        "ifood_schedulers",
        sa.Column("host", sa.Text, nullable=False),
        instant("seen_at", nullable=False),
        instant("stopped_at"),
        sa.PrimaryKeyConstraint("host", name="pk_ifood_schedulers"),
    )
