"""An application that a gateway refuses as a whole: what the gateway said."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ifood_limits", sa.Column("blocked_by", sa.Text, nullable=True))
