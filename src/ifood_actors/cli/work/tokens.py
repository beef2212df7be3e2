"""How authorizations stand, and which token calls the next windows will cost."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ifood_actors.cli.work.database import CommandContext, opened, require_application
from ifood_actors.db import database_now
from ifood_actors.ifood.request_slots import interval
from ifood_actors.renewal import token_states
from ifood_actors.renewal.policy import Call, forecast
from ifood_actors.renewal.token_states import AuthorizationState

Facts = dict[str, object]


def outlook(app: str | None) -> tuple[datetime, list[AuthorizationState], list[Facts], ZoneInfo]:
    """Give now, all authorizations or those of an application, the next windows, and the zone."""
    with opened() as command:
        if app is not None:
            command.read(require_application, app)
        at = command.read(database_now)
        held = token_states.authorization_states(command.engine, app=app)
        return at, held, list(_windows(command, held, at=at)), command.settings.timezone


def _windows(
    command: CommandContext, held: Sequence[AuthorizationState], *, at: datetime
) -> Iterator[Facts]:
    engine, settings = command.engine, command.settings
    # One application after the other: each has a limit of its own.
    openings = sorted(token_states.openings(settings, at=at), key=lambda each: each.window_start)
    last = max(opening.window_end for opening in openings)
    deadlines = token_states.deadlines(engine, settings, at=at, until=last)
    pace = interval(settings.rate_limit_oauth_per_minute)
    calls: list[Call] = []
    for app_id in {each.app_id for each in held}:
        mine = [each.token_state() for each in held if each.app_id == app_id and each.refreshable]
        calls += forecast(mine, deadlines, at=at, interval=pace)
    for opening in openings:
        yield _window(opening.kind, opening.window_start, calls)


def _window(kind: str, opens_at: datetime, calls: Sequence[Call]) -> Facts:
    its = [(call.at, call.deadline.at) for call in calls if call.deadline.kind == kind]
    made = sorted(at for at, _ in its)
    minutes = max((made[-1] - made[0]) / timedelta(minutes=1), 1) if made else 1
    return {
        "kind": kind,
        "opens_at": opens_at,
        "calls": len(made),
        "first_at": made[0] if made else None,
        "last_at": made[-1] if made else None,
        "calls_per_minute": round(len(made) / minutes, 1),
        "least_ahead": min((deadline - at for at, deadline in its), default=None),
    }
