"""No instant of a job is infinite: no process could say how long it is until then."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A look at every row: a second for a million jobs.
    op.create_check_constraint(
        op.f("ck_ifood_jobs_finite"),
        "ifood_jobs",
        "isfinite(scheduled_for) AND isfinite(next_retry_at)",
    )
