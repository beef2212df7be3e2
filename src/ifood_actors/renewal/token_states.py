"""What the refreshes are decided by: the authorizations as they are, and when each is needed."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine, text

from ifood_actors.config import Settings
from ifood_actors.db import transaction
from ifood_actors.ifood.tables import AppKind
from ifood_actors.ifood.thresholds import ALL_STORES, PAUSE_AFTER_REFUSAL, REFRESH_TOKEN_LIFETIME
from ifood_actors.ifood.tokens import fresh_for
from ifood_actors.planning import planner
from ifood_actors.planning.cadence import Opening, next_opening
from ifood_actors.planning.pacing import DoesNotFit
from ifood_actors.renewal.policy import Deadline, TokenState

# Of a token that was never asked for; iFood has given 3 h and 6 h.
ASSUMED_LIFETIME = timedelta(hours=3)

_CENTRAL = f"app.kind = '{AppKind.CENTRALIZED}' AND held.name = '{ALL_STORES}'"
_DISTRIBUTED = f"app.kind = '{AppKind.DISTRIBUTED}'"
# Of an `account` of the application: it is read by this authorization.
_IS_READ = f"({_CENTRAL} OR {_DISTRIBUTED} AND held.id = account.authorization_id)"
_HELD = text(f"""
    SELECT held.id, held.app_id, app.name AS app, held.name AS label, held.renewed_at,
      held.expires_at, held.refresh_expires_at, held.needs_authorization_since,
      CASE WHEN held.access_token_encrypted IS NOT NULL THEN held.renew_at END AS fresh_until,
      CASE WHEN held.expires_at > held.renewed_at THEN held.expires_at - held.renewed_at
        ELSE :assumed END AS lifetime,
      held.refused_reason, coalesce(held.refused_at > clock_timestamp() - :pause, false) AS pausing,
      (SELECT count(*) FROM accounts AS account
        WHERE account.app_id = app.id AND {_IS_READ}) AS accounts,
      ({_DISTRIBUTED} AND held.refresh_token_encrypted IS NULL) AS spent
    FROM ifood_authorizations AS held JOIN ifood_apps AS app ON app.id = held.app_id
    WHERE CAST(:app AS text) IS NULL OR app.name = :app
    ORDER BY app.name, held.name
""")
_READERS = text(f"""
    SELECT account.id AS account_id, held.id AS authorization_id
    FROM accounts AS account JOIN ifood_apps AS app ON app.id = account.app_id
    JOIN ifood_authorizations AS held ON held.app_id = app.id
      AND {_IS_READ}
    WHERE account.active
""")
_PENDING = text("""
    SELECT account_id, coalesce(next_retry_at, scheduled_for) AS at, job_type AS kind
    FROM ifood_jobs WHERE wake_at IS NOT NULL AND status = 'pending'
      AND coalesce(next_retry_at, scheduled_for) < :until
""")


@dataclass(frozen=True, slots=True)
class AuthorizationState:
    """One authorization, as a person reads it and as refreshes are decided by it."""

    id: UUID
    app_id: UUID
    app: str
    label: str
    accounts: int
    renewed_at: datetime | None
    expires_at: datetime | None
    refresh_expires_at: datetime | None
    needs_authorization_since: datetime | None
    refused_reason: str | None
    pausing: bool  # after a refusal: iFood is asked again later
    fresh_until: datetime | None
    lifetime: timedelta
    spent: bool  # it is distributed, and has no refresh token

    @property
    def refreshable(self) -> bool:
        """Say whether a token call may succeed."""
        return not (self.pausing or self.spent or self.needs_authorization_since is not None)

    def token_state(self) -> TokenState:
        given = self.refresh_expires_at and self.refresh_expires_at - REFRESH_TOKEN_LIFETIME
        return TokenState(self.id, self.fresh_until, fresh_for(self.lifetime), given)


def authorization_states(engine: Engine, *, app: str | None = None) -> list[AuthorizationState]:
    """List all authorizations, or those of one application."""
    values = {"app": app, "assumed": ASSUMED_LIFETIME, "pause": PAUSE_AFTER_REFUSAL}
    with transaction(engine) as tx:
        return [AuthorizationState(**row) for row in tx.execute(_HELD, values).mappings()]


def deadlines(
    engine: Engine, settings: Settings, *, at: datetime, until: datetime
) -> dict[UUID, list[Deadline]]:
    """
    Tell when each authorization will be needed before `until`.

    By jobs that are pending, and by those that the next opening of each kind will plan.
    """
    with transaction(engine) as tx:
        readers = {row.account_id: row.authorization_id for row in tx.execute(_READERS)}
        pending = [tuple(row) for row in tx.execute(_PENDING, {"until": until})]

    found: dict[UUID, list[Deadline]] = defaultdict(list)
    for account_id, slot, kind in [*pending, *_predicted(engine, settings, at=at, until=until)]:
        if account_id in readers:
            found[readers[account_id]].append(Deadline(slot, kind))
    return found


def openings(settings: Settings, *, at: datetime) -> Iterator[Opening]:
    """Give the next opening of each kind."""
    for cadence in planner.cadences(settings).values():
        yield next_opening(cadence, at=at, zone=settings.timezone)


def _predicted(
    engine: Engine, settings: Settings, *, at: datetime, until: datetime
) -> Iterator[tuple[UUID, datetime, str]]:
    for opening in openings(settings, at=at):
        if opening.window_start < until:
            with suppress(DoesNotFit):  # the planner will say so, and plan nothing
                planned = planner.preview(engine, planner.PlanRequest(opening, settings))
                yield from ((job.account_id, job.slot, opening.kind) for job in planned.jobs)
