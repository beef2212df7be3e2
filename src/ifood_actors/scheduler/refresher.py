"""The tick that refreshes tokens before they are needed; several of them do no harm."""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Engine

from ifood_actors.config import Settings
from ifood_actors.db import database_now, transaction
from ifood_actors.errors import (
    CredentialsRefused,
    JobError,
    NeedsAuthorization,
    SchemaBroken,
    Throttled,
)
from ifood_actors.ifood.http import ApiIdentity
from ifood_actors.ifood.tokens import Tokens
from ifood_actors.logs import get_logger
from ifood_actors.renewal import token_states
from ifood_actors.renewal.policy import REFRESH_POLICY, UNUSED_AFTER, RefreshPolicy, TokenState, due
from ifood_actors.renewal.token_states import AuthorizationState

log = get_logger(__name__)

EVERY = timedelta(minutes=1)
# More than one, so that slow answers do not slow the pace down; few, since each may be a little
# late, and those that are late arrive together.
AT_A_TIME = 3
_FAULTS_IN_A_ROW = 3


class Refresher:
    """Refreshes what will be needed, a minute's worth at a time, at the limiter's pace."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        tokens: Tokens,
        batch: int | None = None,
        policy: RefreshPolicy = REFRESH_POLICY,
    ) -> None:
        """`batch` is how many calls a round makes for an application; None is a minute's."""
        self._engine = engine
        self._settings = settings
        self._tokens = tokens
        self._batch = batch or settings.rate_limit_oauth_per_minute
        self._policy = policy

    def run(self) -> int:
        """Refresh what is due, and say how many tokens that were."""
        wanted = self._wanted()
        if not wanted:
            return 0
        round_ = _Round(self._tokens)
        with ThreadPoolExecutor(AT_A_TIME, thread_name_prefix="refresher") as pool:
            refreshed = sum(pool.map(round_.refresh, wanted))
        log.info("tokens.renewed_ahead", renewed=refreshed, wanted=len(wanted))
        return refreshed

    def _wanted(self) -> list[AuthorizationState]:
        with transaction(self._engine) as tx:
            at = database_now(tx)
        held = {
            each.id: each
            for each in token_states.authorization_states(self._engine)
            if each.refreshable
        }
        horizon = at + self._policy.lead + self._policy.margin
        states = [each.token_state() for each in held.values()]
        candidates = [each for each in states if _may_be_due(each, at=at, horizon=horizon)]
        if not candidates:  # the usual case: no window has to be looked at
            return []
        deadlines = token_states.deadlines(self._engine, self._settings, at=at, until=horizon)
        refreshes = due(candidates, deadlines, at=at, policy=self._policy)
        wanted = [held[refresh.id] for refresh in refreshes]
        # What was refused goes last: many of those must not use up the tries of a minute.
        wanted.sort(key=lambda each: each.refused_reason is not None)
        return list(self._batches(wanted))

    def _batches(self, wanted: Iterable[AuthorizationState]) -> Iterator[AuthorizationState]:
        """Take the first of each application; they all have a limit of their own."""
        taken = Counter[UUID]()
        for each in wanted:
            taken[each.app_id] += 1
            if taken[each.app_id] <= self._batch:
                yield each


class _Round:
    """One round; an application that cannot be asked is left alone for the rest of it."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._faults = Counter[UUID]()
        self._left_alone = set[UUID]()

    def refresh(self, held: AuthorizationState) -> bool:
        if held.app_id in self._left_alone:
            return False
        try:
            refreshed = self._tokens.refresh(
                ApiIdentity(held.app_id, held.id), renewed_at=held.renewed_at
            )
        except (NeedsAuthorization, CredentialsRefused, SchemaBroken) as error:
            # Only this authorization is refused: that is stored, and the others go on.
            log.warning("tokens.not_renewed", app=held.app, label=held.label, reason=str(error))
            return False
        except JobError as error:
            self._faults[held.app_id] += 1
            if isinstance(error, Throttled) or self._faults[held.app_id] >= _FAULTS_IN_A_ROW:
                self._left_alone.add(held.app_id)
                log.info("tokens.round_ended", app=held.app, reason=str(error))
            return False
        self._faults[held.app_id] = 0
        return refreshed


def _may_be_due(state: TokenState, *, at: datetime, horizon: datetime) -> bool:
    unused = state.refreshed_at is not None and state.refreshed_at + UNUSED_AFTER <= at
    return unused or state.fresh_until is None or state.fresh_until <= horizon
