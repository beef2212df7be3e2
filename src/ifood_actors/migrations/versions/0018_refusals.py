"""Refusals that one more must confirm, and secrets that a host cannot read."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.add_column("ifood_authorizations", sa.Column("refused_since", instant, nullable=True))
    op.add_column("ifood_authorizations", sa.Column("unreadable_at", instant, nullable=True))
    op.add_column("ifood_authorizations", sa.Column("unreadable_by", sa.Text, nullable=True))
