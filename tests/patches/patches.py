"""
Changes to the program that tests make from outside, in every process of a fleet.

The first ones are accidents that no proxy can cause; the others break one promise each, to show
that the suite notices (`scripts/test mutants`).
"""

import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any


def clock_ahead() -> None:
    """Let the host's clock be an hour fast; monotonic time goes on as ever."""
    import time_machine

    time_machine.travel(datetime.now(UTC) + timedelta(hours=1), tick=True).start()


def deadly_merchant() -> None:
    """Let every job of the merchant in DEADLY_MERCHANT kill its process."""
    from ifood_actors.ifood import IfoodClient

    innocent = IfoodClient.merchant

    def merchant(self: Any, credential: Any, merchant_id: str, **options: Any) -> Any:
        if merchant_id == os.environ["DEADLY_MERCHANT"]:
            os.kill(os.getpid(), signal.SIGKILL)
        return innocent(self, credential, merchant_id, **options)

    setattr(IfoodClient, "merchant", merchant)


def short_grace() -> None:
    """Let the relay miss a message after 3 s instead of 5 minutes."""
    from ifood_actors.scheduler import relay

    relay.GRACE = timedelta(seconds=3)
