"""No value of a job or of its history at which a reader's arithmetic or cast would fail."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_YEARS = "'2000-01-01 00:00+00' AND '2200-01-01 00:00+00'"


def _all(*conditions: str) -> str:
    return " AND ".join(conditions)


def _whole(column: str, *names: str) -> list[str]:
    return [f"{column} ->> '{name}' ~ '^[0-9]{{1,9}}$'" for name in names]


COUNTS = _all(
    *(
        f"{name} BETWEEN 0 AND 1000000"
        for name in ("attempts", "dispatch_no", "lease_no", "event_no")
    )
)
INSTANTS = _all(
    *(
        f"{name} BETWEEN {_YEARS}"
        for name in (
            *("scheduled_for", "next_retry_at", "wake_at", "lease_expires_at", "dispatched_at"),
            *("locked_at", "finished_at", "created_at", "updated_at"),
        )
    ),
    *(
        f"{name} BETWEEN '2000-01-01' AND '2200-01-01'"
        for name in ("job_day", "period_start", "period_end")
    ),
)
RESULT = _all(
    "jsonb_typeof(result) = 'object'",
    *_whole("result", "rows", "new", "changed", "unchanged", "missing", "vanished", "rejected"),
    *_whole("result", "requests", "wasted"),
    "result ->> 'complete' IN ('true', 'false')",
    r"result ->> 'amount' ~ '^-?[0-9]{1,40}(\.[0-9]{1,40})?(E[+-]?[0-9]{1,2})?$'",
)
DETAIL = _all(
    *_whole("detail", "requests", "wasted"),
    f"CAST(detail ->> 'slot' AS timestamptz) BETWEEN {_YEARS}",
)


def upgrade() -> None:
    # NOT VALID: nothing is read, and what an old row holds is no reason not to upgrade.
    for table, name, condition in (
        ("ifood_jobs", "counts", COUNTS),
        ("ifood_jobs", "instants", INSTANTS),
        ("ifood_jobs", "result", RESULT),
        ("ifood_job_events", "detail", DETAIL),
    ):
        op.create_check_constraint(
            op.f(f"ck_{table}_{name}"), table, condition, postgresql_not_valid=True
        )
