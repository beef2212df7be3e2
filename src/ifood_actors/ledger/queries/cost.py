"""What jobs have cost so far, as the ledger remembers. Only reads."""

from collections.abc import Mapping

from sqlalchemy import Connection

from ifood_actors.db import rows_of
from ifood_actors.ledger.job_result import Workload, result_value

# So that each weekday is among them, with as few rows as that takes.
_DAYS = 8


def workloads(connection: Connection, block_days: Mapping[str, int]) -> dict[str, Workload]:
    """
    Measure the kinds in `block_days`, each over the latest days on which it ran.

    A kind without a successful job is left out.
    """
    measured = ((kind, _workload(connection, kind, days)) for kind, days in block_days.items())
    return {kind: workload for kind, workload in measured if workload}


def _workload(connection: Connection, kind: str, block_days: int) -> Workload | None:
    [row] = rows_of(
        connection,
        f"""
        SELECT count(*) AS jobs, avg(attempts)::float8 AS attempts,
          (sum({result_value("requests")})
            / nullif(sum(ceil((period_end - period_start + 1) / CAST(:block AS numeric))), 0)
          )::float8 AS requests_per_block
        FROM ifood_jobs
        WHERE job_type = :kind AND status = 'success' AND result ? 'requests'
          AND job_day > (SELECT max(job_day) FROM ifood_jobs WHERE job_type = :kind) - :days
        """,
        kind=kind,
        block=block_days,
        days=_DAYS,
    )
    return Workload(**row) if row["jobs"] else None
