"""Views for those who read the money, in the schema `reporting`; docs/data-model.md explains them."""

from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# One file each, in the order in which they need one another.
VIEWS = (
    "kinds",
    "chains",
    "titles",
    "payouts",
    "anticipations",
    "sales_days",
    "weeks",
    "coverage",
    "freshness",
)
STATEMENTS = Path(__file__).with_suffix("")


def upgrade() -> None:
    if not op.get_bind().scalar(sa.text("SELECT to_regnamespace('reporting')")):
        op.execute("CREATE SCHEMA reporting")
    for view in VIEWS:
        statements = (STATEMENTS / f"{view}.sql").read_text(encoding="utf-8")
        op.get_bind().exec_driver_sql(statements)
