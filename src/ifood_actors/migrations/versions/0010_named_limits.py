"""The limits that iFood's answers name, one for each endpoint, in place of one for a group."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What the former release learned (ifood_limits.learned_*) stays where it is, for itself.
    op.create_table(
        "ifood_named_limits",
        sa.Column("app_id", sa.Uuid, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("endpoint_group", sa.Text, nullable=False),
        sa.Column("per_minute", sa.Integer, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "endpoint", name="pk_ifood_named_limits"),
    )
