"""Which accounts have answered by nothing but 404, as the ledger remembers. Only reads."""

from datetime import date
from uuid import UUID

from sqlalchemy import Connection, text

from ifood_actors.ledger import result_value
from ifood_actors.planning.idling import NotFoundStreak

_WASTED, _REQUESTS = result_value("wasted"), result_value("requests")
_SILENT = text(f"""
    SELECT job.account_id,
      min(job_day) FILTER (WHERE status = 'success') AS first,
      max(job_day) FILTER (WHERE status = 'success') AS last,
      max(job_day) FILTER (WHERE status IN ('pending', 'running', 'success')) AS asked
    FROM ifood_jobs AS job JOIN accounts AS account
      ON account.id = job.account_id AND account.ifood_merchant_id = job.merchant_id
    WHERE job_type = :kind AND job_day >= :since AND account.active
    GROUP BY job.account_id
    -- Jobs of a release that did not count them prove nothing.
    HAVING bool_and(coalesce({_WASTED} > 0 AND {_WASTED} = {_REQUESTS}, false))
      FILTER (WHERE status = 'success')
""")


def not_found_streaks(
    connection: Connection, kind: str, *, since: date
) -> dict[UUID, NotFoundStreak]:
    """
    Give the active accounts whose every answer since a day was 404, by their id.

    Whether one is idle follows from its days: see `NotFoundStreak`.
    """
    rows = connection.execute(_SILENT, {"kind": kind, "since": since}).mappings()
    return {row["account_id"]: NotFoundStreak(**row) for row in rows}
