"""What is kept for how long: every hour, what is older goes."""

from datetime import datetime, timedelta
from functools import partial
from threading import Event
from typing import Final, Protocol

from sqlalchemy import Connection, Engine

from ifood_actors.config import Settings
from ifood_actors.db import database_now, transaction
from ifood_actors.feeds import forget_raw, forget_rejected_items, forget_versions
from ifood_actors.forgetting import Swept
from ifood_actors.kinds import KINDS
from ifood_actors.ledger import forget_history
from ifood_actors.logs import get_logger
from ifood_actors.operator_acts import forget_acts

log = get_logger(__name__)

EVERY: Final = timedelta(hours=1)
_PAUSE: Final = timedelta(milliseconds=100)  # between batches, so that others get their turn
# What is older by so much is not looked at again: no pull of today reads records that old.
_DONE_AFTER: Final = timedelta(days=90)


class _Forget(Protocol):
    def __call__(self, connection: Connection, /, *, before: datetime, after: int) -> Swept: ...


class Retention:
    """Forgets what the settings keep no longer; several schedulers look twice, without harm."""

    def __init__(self, engine: Engine, settings: Settings, *, stopping: Event) -> None:
        self._engine = engine
        self._stopping = stopping
        self._done = dict[str, int]()  # ids behind which the next look begins
        raw: dict[str, _Forget] = {
            f"raw of {kind.table}": partial(forget_raw, kind.table) for kind in KINDS.values()
        }
        raw["rejected items"] = forget_rejected_items
        self._kept: list[tuple[timedelta | None, dict[str, _Forget]]] = [
            (settings.keep_history, {"history": forget_history, "operators' acts": forget_acts}),
            (settings.keep_versions, {"versions": forget_versions}),
            (settings.keep_raw, raw),
        ]

    def run(self) -> None:
        """Go through all of it, in short transactions; end early when told to stop."""
        with transaction(self._engine) as tx:
            now = database_now(tx)
        for age, acts in self._kept:
            if age:
                for what, forget in acts.items():
                    self._sweep(what, forget, before=now - age)

    def _sweep(self, what: str, forget: _Forget, *, before: datetime) -> None:
        after, forgotten = self._done.get(what, 0), 0
        while not self._stopping.is_set():
            with transaction(self._engine) as tx:
                swept = forget(tx, before=before, after=after)
            after = swept.up_to
            forgotten += swept.forgotten
            if swept.youngest is None or swept.youngest >= before:
                break
            if swept.youngest < before - _DONE_AFTER:
                self._done[what] = after
            self._stopping.wait(_PAUSE.total_seconds())
        if forgotten:
            log.info("retention.forgotten", what=what, rows=forgotten, before=before)
