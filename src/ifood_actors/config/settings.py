"""Every setting, with its default, its bounds and its meaning; docs/configuration.md shows them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    Strict,
    create_model,
    model_validator,
)

from ifood_actors import checks, notation
from ifood_actors.errors import UsageError
from ifood_actors.kinds import KINDS
from ifood_actors.notation import Share
from ifood_actors.spans import Window

PREFIX = "IFOOD_"
DEFAULT_API = "https://merchant-api.ifood.com.br"
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
LADDER_REACH = timedelta(hours=4, minutes=33)  # 14 levels of the delay ladder: 2^14 - 1 seconds
OAUTH_PER_MINUTE = 20  # token calls that iFood allows
NEW_KEY = (
    'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
)

SettingOrigin = Literal["default", "environment", ".env", "file", "code"]


@dataclass(frozen=True, slots=True)
class Unset:
    """What a setting without a value means, in the words of the documentation."""

    meaning: str


def _text(read: Callable[[str], object]) -> BeforeValidator:
    """Read what is given as text; what code gives as a value is left to its type."""
    return BeforeValidator(lambda value: read(value) if isinstance(value, str) else value)


def _secret(read: Callable[[str], str]) -> BeforeValidator:
    """Read the text of a secret, and keep the result as one."""
    return _text(lambda text: SecretStr(read(text)))


def _plain(text: str) -> str:
    return text.strip().lower()


def _whole(text: str) -> int | str:
    """Read digits and nothing else: `2.0`, `+2` and `1_0` are more likely slips than meant."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text.strip()) else text


def _switch(text: str) -> bool | str:
    """Read `true` or `false`, which leave no doubt."""
    return {"true": True, "false": False}.get(_plain(text), text)


# Strict: what is not read by ours is not read at all.
Whole = Annotated[int, Strict(), _text(_whole)]
Switch = Annotated[bool, Strict(), _text(_switch)]
Duration = Annotated[timedelta, _text(notation.parse_duration)]
# At least what no pull reads again by itself, and what a trigger lets go.
Kept = Annotated[Duration, Field(ge=90 * DAY, le=9999 * DAY)]
WindowSetting = Annotated[Window, _text(Window.parse)]
Host = Annotated[str, _text(checks.host)]
Port = Annotated[Whole, Field(ge=1, le=65535)]
PLAIN = _text(_plain)


# A window for each kind, as `kinds.py` declares it; type checkers know `Settings.window_of` only.
if TYPE_CHECKING:

    class WindowSettings(BaseModel): ...

else:
    WindowSettings = create_model(
        "WindowSettings",
        **{
            kind.window_setting: (
                WindowSetting,
                Field(Window.parse(kind.window), description=f"when `{kind.name}` runs"),
            )
            for kind in KINDS.values()
        },
    )


class Settings(WindowSettings):
    """
    The effective settings, read once by `loading.load` and passed on as an argument.

    Built directly it takes defaults and arguments only; a bad argument raises pydantic's
    `ValidationError`, whose text holds no value.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    database_url: Annotated[
        SecretStr | None, _secret(checks.database_url), Unset("embedded Postgres, for `demo` only")
    ] = None
    """Postgres 14 or newer, as `postgresql://...`; over a network with
    `?sslmode=verify-full&sslrootcert=FILE`"""
    database_schema: Annotated[
        str | None, _text(checks.schema), Unset("the first of the search path")
    ] = None
    """the schema of the tables; `db upgrade` makes it if it is missing"""
    broker_url: Annotated[
        SecretStr | None, _secret(checks.broker_url), Unset("in-process broker, for `demo` only")
    ] = None
    """RabbitMQ, as `amqp://...`, over a network `amqps://...?cacertfile=FILE`; several nodes with
    `;`"""
    api_base_url: Annotated[str, _text(checks.base_url)] = DEFAULT_API
    """iFood's API; another host needs `IFOOD_API_ALLOW_HOST`, and plain http goes to loopback
    only"""
    api_allow_host: Annotated[Host | None, Unset("none")] = None
    """the one host, other than iFood's, that credentials may be sent to"""
    api_ca_file: Annotated[
        str | None,
        _text(checks.authorities_file),
        Unset("the authorities that come with the program"),
    ] = None
    """file of the authorities (PEM) that are trusted for the API instead, such as those of a
    company's proxy"""
    encryption_keys: Annotated[
        SecretStr | None, _secret(checks.fernet_keys), Unset("none: no secret is stored")
    ] = None
    """Fernet keys that encrypt stored secrets, comma separated, newest first"""
    timezone: Annotated[ZoneInfo, _text(notation.zone)] = ZoneInfo("America/Sao_Paulo")
    """zone of the windows and of `job_day`"""
    settlements_weeks: Annotated[Whole, Field(ge=1, le=53)] = 8
    """closed weeks, Monday to Sunday, that a settlements job reads again"""
    anticipations_days: Annotated[Whole, Field(ge=1, le=366)] = 30
    """days before `job_day` that an anticipations job reads"""
    anticipations_idle_days: Annotated[Whole, Field(ge=0, le=366)] = 0
    """a store that has answered nothing but 404 for 14 days, as those without a plan do, is asked
    only every so many days, until it answers once; 0 is every day"""
    sales_days: Annotated[Whole, Field(ge=1, le=90)] = 7
    """days before `job_day` that a sales job reads; iFood keeps 90"""
    sales_deep_days: Annotated[Whole, Field(ge=0, le=90)] = 35
    """days that it reads once a week instead, for late refunds and late sales; 0 is never"""
    sales_deep_weekday: Annotated[
        Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], PLAIN
    ] = "sun"
    """`job_day` of that deep reading"""
    batch_size: Annotated[Literal["auto"], PLAIN] | Annotated[Whole, Field(ge=1, le=1_000_000)] = (
        "auto"
    )
    """jobs started per minute; `auto` is the smallest number, at least 5, that fits every account
    into the window"""
    window_overflow: Annotated[Literal["refuse", "extend"], PLAIN] = "refuse"
    """what to do when the batch size does not fit every account into the window: `refuse` to plan,
    or `extend` the window"""
    worker_max_concurrency: Annotated[Whole, Field(ge=1, le=1000)] = 20
    """jobs running at the same time per worker host, over all its processes"""
    worker_processes: Annotated[Whole, Field(ge=1, le=64)] = 2
    """processes that share the concurrency of a worker host"""
    worker_poll_interval_ms: Annotated[Whole, Field(ge=100, le=600_000)] = 10_000
    """milliseconds between two ticks of the scheduler that look for jobs to relay and leases to
    rescue"""
    worker_max_attempts: Annotated[Whole, Field(ge=1, le=100)] = 3
    """attempts before a job is `failed`"""
    backoff_base: Annotated[Duration, Field(ge=SECOND, le=DAY)] = timedelta(minutes=5)
    """wait before the second attempt; doubles with each"""
    backoff_cap: Annotated[Duration, Field(ge=SECOND, le=7 * DAY)] = timedelta(minutes=60)
    """longest wait between two attempts"""
    rate_limit_per_minute: Annotated[Whole, Field(ge=1, le=100_000)] = 180
    """requests per minute of all processes, per application and endpoint group"""
    rate_limit_follow: Switch = False
    """whether a limit that iFood names is kept to when it is above `IFOOD_RATE_LIMIT_PER_MINUTE`,
    too; a lower one always is"""
    rate_limit_oauth_per_minute: Annotated[Whole, Field(ge=1, le=OAUTH_PER_MINUTE)] = 15
    """token requests per minute of all processes; iFood allows 20"""
    dispatch_horizon: Annotated[Duration, Field(ge=timedelta(), le=LADDER_REACH)] = timedelta(
        hours=4
    )
    """how far ahead of its slot a job is handed to RabbitMQ; 0 is when due"""
    lease: Annotated[Duration, Field(ge=SECOND, le=timedelta(hours=1))] = timedelta(seconds=60)
    """a running job whose lease is not renewed for so long is taken over"""
    metrics_port: Annotated[Port | None, Unset("none: not served")] = None
    """where a worker host serves what its processes count"""
    metrics_host: Host = "127.0.0.1"
    """the address that it listens on for that; it asks for no password"""
    metrics_dir: Annotated[str | None, Unset("none: needed with `IFOOD_METRICS_PORT`")] = None
    """folder, of this host alone, in which its processes count together; it is made if it is
    missing"""
    alert_urls: Annotated[
        SecretStr | None, _secret(checks.alert_urls), Unset("none: alerts are logged only")
    ] = None
    """where alerts go: [Apprise](https://github.com/caronc/apprise) URLs, spaces or commas between
    them"""
    alert_pending_max: Annotated[Whole, Field(ge=0, le=100_000_000)] = 500
    """more pending jobs than that, while one is late, are an alert"""
    alert_failed_max: Annotated[Whole, Field(ge=0, le=100_000_000)] = 50
    """more failed jobs of the last 24 hours than that are an alert"""
    alert_failure_rate: Annotated[Share, _text(Share.parse)] = Share.parse("5%")
    """a larger share of failed jobs in the last 24 hours is an alert, by kind"""
    keep_history: Kept = timedelta(days=400)
    """how long after a job's end its history is kept; the job itself stays; and how long the acts
    of operators are kept"""
    keep_versions: Annotated[Kept | None, Unset("without limit")] = None
    """how long former versions of records are kept after they were replaced"""
    keep_raw: Annotated[Kept | None, Unset("without limit")] = None
    """how long a record keeps its `raw`, which holds personal data, after it was last seen; its
    columns stay; a rejected item, which is nothing but that, goes"""
    heartbeat_file: Annotated[Path | None, Unset("none")] = None
    """file that the scheduler touches every 15 seconds, for health checks"""
    private_hosts: Annotated[str | None, _text(checks.hosts), Unset("none")] = None
    """hosts that only a network of this installation leads to, commas between them, as from
    container to container: `doctor` asks for no TLS there"""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], PLAIN] = "info"
    """`debug`, `info`, `warning` or `error`"""

    _origins: dict[str, SettingOrigin] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        """Check what two settings promise each other; every problem is one line of the error."""
        if problems := list(self._contradictions()):
            raise ValueError("\n".join(problems))
        return self

    def window_of(self, kind: str) -> Window:
        """Return the window of a kind's runs. Raises KeyError for an unknown kind."""
        window: Window = getattr(self, KINDS[kind].window_setting)
        return window

    @property
    def poll_interval(self) -> timedelta:
        return timedelta(milliseconds=self.worker_poll_interval_ms)

    @property
    def worker_threads(self) -> int:
        """Threads of each worker process; rounded down, the concurrency is an upper limit."""
        return self.worker_max_concurrency // self.worker_processes

    def require_database_url(self) -> str:
        """Reveal the URL, as `postgresql://...`, or raise `UsageError`."""
        example = "postgresql://user:password@host:5432/database"
        return _reveal(self.database_url, "DATABASE_URL", f"give {example}")

    def require_broker_url(self) -> str:
        """Reveal the URLs of the nodes, `;` between them, or raise `UsageError`."""
        example = "amqp://user:password@host:5672/vhost"
        return _reveal(self.broker_url, "BROKER_URL", f"give {example}")

    def reveal_alert_urls(self) -> list[str]:
        return self.alert_urls.get_secret_value().split() if self.alert_urls else []

    def require_encryption_keys(self) -> tuple[str, ...]:
        """Reveal the Fernet keys, newest first, or raise `UsageError`."""
        hint = f"secrets are stored encrypted only; make a key with {NEW_KEY}"
        return tuple(_reveal(self.encryption_keys, "ENCRYPTION_KEYS", hint).split(","))

    def _contradictions(self) -> Iterator[str]:
        """Say what does not fit together, a line each."""
        host = urlsplit(self.api_base_url).hostname
        if host not in (urlsplit(DEFAULT_API).hostname, self.api_allow_host):
            yield (
                f"IFOOD_API_BASE_URL: {host} is not iFood's host; if credentials may be sent "
                f"there, set IFOOD_API_ALLOW_HOST={host}"
            )
        if self.backoff_base > self.backoff_cap:
            yield "IFOOD_BACKOFF_BASE: expected at most IFOOD_BACKOFF_CAP"
        if self.worker_processes > self.worker_max_concurrency:
            yield (
                f"IFOOD_WORKER_PROCESSES: expected at most IFOOD_WORKER_MAX_CONCURRENCY, "
                f"which is {self.worker_max_concurrency}: each process runs at least one job"
            )
        if self.anticipations_idle_days > self.anticipations_days:
            yield (
                f"IFOOD_ANTICIPATIONS_IDLE_DAYS: expected at most IFOOD_ANTICIPATIONS_DAYS, "
                f"which is {self.anticipations_days}: days between two pulls would never be read"
            )
        if self.metrics_port is not None and self.metrics_dir is None:
            yield "IFOOD_METRICS_PORT: needs IFOOD_METRICS_DIR, a folder of this host alone"


def _reveal(secret: SecretStr | None, name: str, hint: str) -> str:
    if secret is None:
        raise UsageError(f"{PREFIX}{name} is not set: {hint}")
    return secret.get_secret_value()
