"""
What fires, since when, and who was told: the table `ifood_alerts`, shared by all schedulers.

They write it one after the other. Each evaluates by itself, and the notifications of a rule belong
to the scheduler that takes them first, so that they become one message.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from ifood_actors.figures import AlertRule, FiringAlert

# Longer than any delivery takes. What a scheduler that dies has taken, others take after it.
LOCK: Final = timedelta(minutes=2)
# An address that accepts nothing for so long is wrong, and what it would be told is old.
GIVE_UP_AFTER: Final = timedelta(days=1)

# It excludes itself and writers, not readers. Any login could hold an advisory lock; this one
# takes the right to write.
_IN_TURN = text("LOCK TABLE ifood_alerts IN SHARE ROW EXCLUSIVE MODE")
# A row that had ended starts again. What a slow scheduler writes late was not seen later.
_REMEMBER = text("""
    INSERT INTO ifood_alerts AS alert (name, subject, firing_since, last_seen, details)
    VALUES (:name, :subject, :at, :at,
      jsonb_build_object('text', CAST(:text AS text), 'number', CAST(:number AS text),
        'limit', CAST(:limit AS text)))
    ON CONFLICT (name, subject) DO UPDATE SET
      firing_since = CASE WHEN alert.resolved_at IS NULL THEN alert.firing_since
        ELSE excluded.firing_since END,
      owed_to = CASE WHEN alert.resolved_at IS NULL THEN alert.owed_to ELSE '{}' END,
      last_seen = greatest(alert.last_seen, excluded.last_seen),
      resolved_at = NULL, details = excluded.details
    WHERE alert.resolved_at IS NULL OR alert.resolved_at < excluded.last_seen
""")
_TOLD = "coalesce(notified_at >= firing_since, false)"
_FREE = "coalesce(locked_until < clock_timestamp(), true)"
# An alert of which no one was told need not wait, unless a delivery is under way. It ends now: an
# earlier evaluation that is remembered after this one does not start it again.
_END = text(f"""
    UPDATE ifood_alerts AS alert SET resolved_at = clock_timestamp()
    FROM unnest(CAST(:names AS text[]), CAST(:calms AS interval[])) AS rule(name, calm)
    WHERE alert.name = rule.name AND resolved_at IS NULL AND last_seen < :at
      AND CASE WHEN {_TOLD} THEN last_seen < :at - calm ELSE {_FREE} END
    RETURNING alert.name, subject, {_TOLD} AS told
""")
_TAKE = text(f"""
    WITH owed AS (
      SELECT name, subject, owed_to <> '{{}}' AND CASE WHEN resolved_at IS NULL THEN {_TOLD}
          ELSE notified_at >= resolved_at END AS again
      FROM ifood_alerts
      WHERE name = :name AND {_FREE}
        AND coalesce(resolved_at, last_seen) > clock_timestamp() - :give_up AND (
          resolved_at IS NULL AND NOT {_TOLD} AND last_seen - firing_since >= :wait
          OR resolved_at IS NOT NULL AND {_TOLD} AND notified_at < resolved_at
          OR owed_to <> '{{}}' AND notified_at > clock_timestamp() - :give_up)
      ORDER BY subject)
    UPDATE ifood_alerts AS alert SET locked_until = clock_timestamp() + :lock
    FROM owed WHERE alert.name = owed.name AND alert.subject = owed.subject
    RETURNING alert.name, alert.subject, firing_since, resolved_at, details,
      CASE WHEN again THEN owed_to END AS owed_to
""")
# Only if it is still the same alert; if not, the lock ends by itself.
_TELL = text("""
    UPDATE ifood_alerts SET locked_until = NULL,
      notified_at = CASE WHEN :told THEN clock_timestamp() ELSE notified_at END,
      owed_to = CASE WHEN :told THEN CAST(:owed_to AS text[]) ELSE owed_to END
    WHERE name = :name AND subject = :subject AND firing_since = :firing_since
      AND resolved_at IS NOT DISTINCT FROM CAST(:resolved_at AS timestamptz)
""")


@dataclass(frozen=True, slots=True)
class Notification:
    """
    The start of an alert, or with `resolved_at` its end, that this scheduler has to deliver.

    `owed_to` has the fingerprints of the addresses that did not accept it before; None is all.
    """

    name: str
    subject: str
    firing_since: datetime
    resolved_at: datetime | None
    details: dict[str, Any]
    owed_to: list[str] | None


@dataclass(frozen=True, slots=True)
class EndedAlert:
    """An alert that is over; `told` says whether its start was told."""

    name: str
    subject: str
    told: bool


def remember(
    tx: Connection, firing: Iterable[FiringAlert], *, evaluated: Sequence[AlertRule], at: datetime
) -> list[EndedAlert]:
    """
    Remember what fires in an evaluation that began at `at`, and give the alerts that have ended.

    Alerts of rules that are not in `evaluated` stay as they are: nothing is known of them.
    """
    tx.execute(_IN_TURN)
    for alert in firing:
        tx.execute(_REMEMBER, {**asdict(alert), "at": at})
    calms = {"names": [r.name for r in evaluated], "calms": [r.calm for r in evaluated]}
    return [EndedAlert(**row) for row in tx.execute(_END, {**calms, "at": at}).mappings()]


def take_notifications(tx: Connection, rule: AlertRule) -> list[Notification]:
    """Take, for `LOCK`, the notifications of a rule that are due and that no process delivers."""
    tx.execute(_IN_TURN)
    values = {"name": rule.name, "wait": rule.wait, "lock": LOCK, "give_up": GIVE_UP_AFTER}
    return [Notification(**row) for row in tx.execute(_TAKE, values).mappings()]


def note_delivery(
    tx: Connection, notifications: Iterable[Notification], *, owed_to: Collection[str], told: bool
) -> None:
    """Note a delivery to all addresses but `owed_to`; without `told`, none accepted it."""
    tx.execute(_IN_TURN)
    for notification in notifications:
        values = {**asdict(notification), "owed_to": list(owed_to), "told": told}
        tx.execute(_TELL, values)
