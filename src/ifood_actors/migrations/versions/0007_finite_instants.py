"""No instant of a job is infinite: nobody could say how long it is until then."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # NOT VALID: a look at every row would keep writers waiting; no act has ever written such a one.
    op.execute("""
        ALTER TABLE ifood_jobs ADD CONSTRAINT ck_ifood_jobs_finite
        CHECK (isfinite(scheduled_for) AND isfinite(next_retry_at)) NOT VALID
    """)
