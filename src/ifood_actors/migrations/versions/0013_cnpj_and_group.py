"""Accounts have a CNPJ and a group, such as their chain; both are optional."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("cnpj", sa.Text(), nullable=True))
    # Not `group`, which SQL has for itself.
    op.add_column("accounts", sa.Column("group_name", sa.Text(), nullable=True))
