"""What `doctor` can say of the settings alone: whether a process would end with 2 for them."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Literal

from ifood_actors import logs
from ifood_actors.alerts import Notifier
from ifood_actors.cli.output import count
from ifood_actors.cli.work.config_page import describe
from ifood_actors.config import Settings, loading
from ifood_actors.errors import UsageError
from ifood_actors.masking import secret_texts

DoctorVerdict = Literal["ok", "warning", "failed"]

CHECKS = {"configuration", "alert addresses"}


@dataclass(frozen=True)
class Finding:
    """What one check found; `advice` says what to do, `unreachable` that a service is away."""

    check: str
    verdict: DoctorVerdict
    detail: str
    advice: str | None = None
    unreachable: bool = False


def findings() -> Iterator[Finding]:
    """Check what scheduler and workers need before they ask any service."""
    settings = yield from configuration()
    if settings is None:
        return
    for require in (
        settings.require_database_url,
        settings.require_broker_url,
        settings.require_encryption_keys,
    ):
        yield from usage_errors("configuration", require)
    yield from alert_addresses(settings)


def configuration() -> Generator[Finding, None, Settings | None]:
    """Read the settings, one finding for each that cannot be used."""
    try:
        settings = loading.load()
    except UsageError as error:
        for line in str(error).splitlines():
            yield Finding("configuration", "failed", line, "see `ifood-actors config --markdown`")
        return None
    level = "debug" if settings.log_level == "debug" else "error"
    logs.configure(level, hidden=secret_texts(settings))
    given = sum(row.origin != "default" for row in describe(settings))
    yield Finding("configuration", "ok", f"{count(given, 'setting')} given")
    return settings


def alert_addresses(settings: Settings) -> Iterator[Finding]:
    """Ask Apprise, as the scheduler does when it starts; nothing is sent."""
    urls = settings.reveal_alert_urls()
    if not urls:
        return
    refused = list(usage_errors("alert addresses", lambda: Notifier(urls)))
    yield from refused or [Finding("alert addresses", "ok", f"{len(urls)}, known to Apprise")]


def usage_errors(check: str, attempt: Callable[[], object]) -> Iterator[Finding]:
    """Call `attempt`; a finding if it raises UsageError."""
    try:
        attempt()
    except UsageError as error:
        yield Finding(check, "failed", " ".join(str(error).split()))
