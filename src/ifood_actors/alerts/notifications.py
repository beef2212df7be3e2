"""The text of notifications, and their delivery by Apprise."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ifood_actors.alerts.memory import Notification
from ifood_actors.errors import UsageError
from ifood_actors.figures import AlertRule

if TYPE_CHECKING:  # half a second and 20 MB, only for schedulers with a channel
    from apprise import Apprise


class Notifier:
    """Delivers to each of the addresses of `IFOOD_ALERT_URLS`."""

    def __init__(self, urls: Sequence[str]) -> None:
        """Raises UsageError for an address that Apprise does not know, without showing it."""
        self._addresses: Mapping[str, Apprise] = {
            hashlib.sha256(url.encode()).hexdigest()[:16]: _address(url, number=number)
            for number, url in enumerate(urls, start=1)
        }

    @property
    def addresses(self) -> Collection[str]:
        """Give the fingerprints of all addresses."""
        return self._addresses.keys()

    def deliver(
        self, title: str, body: str, *, resolved: bool, to: Collection[str]
    ) -> frozenset[str]:
        """Deliver to `to`, given by fingerprints; returns those that did not accept it."""
        from apprise import NotifyFormat, NotifyType  # noqa: PLC0415 - see above

        kind = NotifyType.SUCCESS if resolved else NotifyType.FAILURE
        return frozenset(
            name
            for name in self._addresses.keys() & set(to)
            if not self._addresses[name].notify(
                body=body, title=title, notify_type=kind, body_format=NotifyFormat.TEXT
            )
        )


def title_of(rule: AlertRule, notifications: Sequence[Notification]) -> str:
    """Give one line such as `ifood-actors: Dead letters (resolved)`."""
    over = " (resolved)" if notifications[0].resolved_at else ""
    return f"ifood-actors: {rule.heading}{over}"


def body_of(rule: AlertRule, notifications: Sequence[Notification], *, zone: ZoneInfo) -> str:
    """Give a line for each: what, the number and the limit, since when; and the runbook."""
    lines = [_line(notification, zone) for notification in notifications]
    return "\n".join([*lines, f"What to do: {rule.manual}"])


def _line(notification: Notification, zone: ZoneInfo) -> str:
    since = f"{notification.firing_since.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    end = notification.resolved_at
    until = f" until {end.astimezone(zone):%Y-%m-%d %H:%M:%S}" if end else ""
    found = notification.details
    return (
        f"{notification.name} {notification.subject}: {found['text']} "
        f"(limit {found['limit']}), since {since}{until}"
    )


def _address(url: str, *, number: int) -> "Apprise":
    try:
        from apprise import Apprise  # noqa: PLC0415 - see above
    except ImportError:
        raise UsageError(
            "IFOOD_ALERT_URLS needs apprise, which the extra `alerts` brings, as in "
            "`uv sync --extra alerts`"
        ) from None
    address = Apprise()
    if not address.add(url):
        raise UsageError(f"IFOOD_ALERT_URLS: Apprise does not know what number {number} is")
    return address
