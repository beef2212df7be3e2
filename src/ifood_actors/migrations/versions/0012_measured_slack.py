"""How late requests may be is measured: the limiter's row holds what the fleet needed most."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ifood_limits", sa.Column("slack", sa.Interval))
    op.add_column("ifood_limits", sa.Column("slack_at", sa.DateTime(timezone=True)))
