"""Which accounts a run left out, and why: `jobs` and alerts explain a missing job by it."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import Connection, text

from ifood_actors.ledger.job_values import NewRun

# In one order, so that two runs wait for each other and never deadlock.
_LEAVE_OUT = text("""
    INSERT INTO ifood_left_out AS former (account_id, job_type, reason, job_day, asked_again_on)
    SELECT account_id, :kind, :reason, :job_day, asked_again_on
    FROM unnest(CAST(:account_ids AS uuid[]), CAST(:asked_again_on AS date[]))
      AS account(account_id, asked_again_on)
    ORDER BY account_id
    ON CONFLICT (account_id, job_type) DO UPDATE SET reason = excluded.reason,
      job_day = excluded.job_day, asked_again_on = excluded.asked_again_on
    WHERE former.job_day <= excluded.job_day
""")
# Kept until then, so that the account is not stale before the job that asks it has ended.
_ASKED = text("""
    UPDATE ifood_left_out SET asked_again_on = :job_day
    WHERE job_type = :kind AND account_id = ANY(:account_ids) AND asked_again_on > :job_day
""")


def note_left_out(
    connection: Connection,
    run: NewRun,
    asked_again_on: Mapping[UUID, date],
    *,
    asked: Sequence[UUID],
    reason: str,
) -> None:
    """
    Write down the accounts that a run leaves out, each with the day of the run that asks it again.

    Accounts that are `asked` by this run are no longer left out.
    """
    day = {"kind": run.kind, "job_day": run.job_day}
    values = {
        "reason": reason,
        "account_ids": list(asked_again_on),
        "asked_again_on": list(asked_again_on.values()),
    }
    connection.execute(_LEAVE_OUT, {**day, **values})
    connection.execute(_ASKED, {**day, "account_ids": list(asked)})
