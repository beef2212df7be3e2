"""Whether Postgres and RabbitMQ answer; the reason why not goes to the log only."""

from collections.abc import Callable

from ifood_actors.logs import get_logger
from ifood_actors.plain_text import first_line
from ifood_actors.web.shared_query import SharedQuery

log = get_logger(__name__)

LIMIT_SECONDS = 3.0
_HOLDS_FOR = 1.0  # seconds
OK = "ok"


class Check:
    """Whether one service answers; `ask` raises if it does not."""

    def __init__(self, service: str, ask: Callable[[], object]) -> None:
        self.service = service
        self._query = SharedQuery(ask, holds_for=_HOLDS_FOR)
        self._said = OK

    async def verdict(self) -> str:
        """Give `ok`, or in a few words what is wrong; a change is logged, with the reason."""
        try:
            await self._query.answer(within=LIMIT_SECONDS)
        except TimeoutError as error:
            return self._say(f"no answer within {LIMIT_SECONDS:.0f} s", error)
        except Exception as error:  # noqa: BLE001 - each of them means the same
            return self._say("cannot be reached", error)
        return self._say(OK)

    def _say(self, verdict: str, error: Exception | None = None) -> str:
        if verdict != self._said:
            reason = first_line(error) if error else ""
            log.warning("readiness.changed", service=self.service, verdict=verdict, reason=reason)
        self._said = verdict
        return verdict
