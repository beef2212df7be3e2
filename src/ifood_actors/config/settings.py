"""Every setting, with its default, its bounds and its meaning; docs/configuration.md shows them."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, PrivateAttr, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ifood_actors.config.contradictions import contradictions
from ifood_actors.config.masking import secret_texts
from ifood_actors.config.types import (
    DAY,
    DEFAULT_API,
    AlertUrls,
    AuthoritiesFile,
    BaseUrl,
    BatchSize,
    BrokerUrl,
    DatabaseUrl,
    FernetKeys,
    Host,
    Hosts,
    Kept,
    LogLevel,
    Overflow,
    Schema,
    ShareSetting,
    Switch,
    Weekday,
    WindowSetting,
    Zone,
    duration,
    whole,
)
from ifood_actors.config.values import Share
from ifood_actors.errors import UsageError
from ifood_actors.spans import Window

PREFIX = "IFOOD_"
LADDER_REACH = timedelta(hours=4, minutes=33)  # 14 levels of the delay ladder: 2^14 - 1 seconds
OAUTH_PER_MINUTE = 20  # token calls that iFood allows

NEW_KEY = (
    'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
)

Origin = Literal["default", "environment", ".env", "file", "code"]


@dataclass(frozen=True, slots=True)
class Unset:
    """What a setting without a value means, in the words of the documentation."""

    meaning: str


class Settings(BaseSettings):
    """
    The effective settings, read once by `load` and handed to whoever needs them.

    Built directly it takes defaults and arguments only; a bad argument raises pydantic's
    `ValidationError`, whose text holds no value.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    database_url: Annotated[DatabaseUrl | None, Unset("embedded Postgres, for `demo` only")] = (
        Field(
            None,
            description="Postgres 14 or newer, as `postgresql://...`; "
            "over a network with `?sslmode=verify-full&sslrootcert=FILE`",
        )
    )
    database_schema: Annotated[Schema | None, Unset("the first of the search path")] = Field(
        None, description="the schema of the tables; `db upgrade` makes it if it is missing"
    )
    broker_url: Annotated[BrokerUrl | None, Unset("in-process broker, for `demo` only")] = Field(
        None,
        description="RabbitMQ, as `amqp://...`, over a network `amqps://...?cacertfile=FILE`; "
        "several nodes with `;`",
    )
    api_base_url: BaseUrl = Field(
        DEFAULT_API,
        description="iFood's API; another host needs `IFOOD_API_ALLOW_HOST`, "
        "and plain http goes to loopback only",
    )
    api_allow_host: Annotated[Host | None, Unset("none")] = Field(
        None, description="the one host, other than iFood's, that credentials may be sent to"
    )
    api_ca_file: Annotated[
        AuthoritiesFile | None, Unset("the authorities that come with the program")
    ] = Field(
        None,
        description="file of the authorities (PEM) that are trusted for the API instead, such as "
        "those of a company's proxy",
    )
    encryption_keys: Annotated[FernetKeys | None, Unset("none: no secret is stored")] = Field(
        None, description="Fernet keys that encrypt stored secrets, comma separated, newest first"
    )
    timezone: Zone = Field(
        ZoneInfo("America/Sao_Paulo"), description="zone of the windows and of `job_day`"
    )
    settlements_window: WindowSetting = Field(
        Window.parse("mon 08:00-12:00"), description="when `settlements_weekly` runs"
    )
    anticipations_window: WindowSetting = Field(
        Window.parse("daily 06:00-08:00"), description="when `anticipations_daily` runs"
    )
    sales_window: WindowSetting = Field(
        Window.parse("daily 03:00-06:00"), description="when `sales` runs"
    )
    settlements_weeks: Annotated[int, whole(1, 53)] = Field(
        8, description="closed weeks, Monday to Sunday, that a settlements job reads again"
    )
    anticipations_days: Annotated[int, whole(1, 366)] = Field(
        30, description="days before `job_day` that an anticipations job reads"
    )
    anticipations_idle_days: Annotated[int, whole(0, 366)] = Field(
        0,
        description="a store that has answered nothing but 404 for 14 days, as those without a "
        "plan do, is asked only every so many days, until it answers once; 0 is every day",
    )
    sales_days: Annotated[int, whole(1, 90)] = Field(
        7, description="days before `job_day` that a sales job reads; iFood keeps 90"
    )
    sales_deep_days: Annotated[int, whole(0, 90)] = Field(
        35,
        description="days that it reads once a week instead, for late refunds and late sales; "
        "0 is never",
    )
    sales_deep_weekday: Weekday = Field("sun", description="`job_day` of that deep reading")
    batch_size: BatchSize = Field(
        "auto",
        description="jobs started per minute; `auto` is the smallest number, at least 5, "
        "that fits every account into the window",
    )
    window_overflow: Overflow = Field(
        "refuse",
        description="what to do when the batch size does not fit every account into the window: "
        "`refuse` to plan, or `extend` the window",
    )
    worker_max_concurrency: Annotated[int, whole(1, 1000)] = Field(
        20, description="jobs running at the same time per worker host, over all its processes"
    )
    worker_processes: Annotated[int, whole(1, 64)] = Field(
        2, description="processes that share the concurrency of a worker host"
    )
    worker_poll_interval_ms: Annotated[int, whole(100, 600_000)] = Field(
        10_000,
        description="milliseconds between two looks of the scheduler for jobs to relay "
        "and leases to rescue",
    )
    worker_max_attempts: Annotated[int, whole(1, 100)] = Field(
        3, description="attempts before a job is `failed`"
    )
    backoff_base: Annotated[timedelta, duration("1s", DAY)] = Field(
        timedelta(minutes=5), description="wait before the second attempt; doubles with each"
    )
    backoff_cap: Annotated[timedelta, duration("1s", 7 * DAY)] = Field(
        timedelta(minutes=60), description="longest wait between two attempts"
    )
    rate_limit_per_minute: Annotated[int, whole(1, 100_000)] = Field(
        180,
        description="requests per minute of all processes, per application and endpoint group",
    )
    rate_limit_follow: Switch = Field(
        default=False,
        description="whether a limit that iFood names is kept to when it is above "
        "`IFOOD_RATE_LIMIT_PER_MINUTE`, too; a lower one always is",
    )
    rate_limit_oauth_per_minute: Annotated[int, whole(1, OAUTH_PER_MINUTE)] = Field(
        15, description="token requests per minute of all processes; iFood allows 20"
    )
    dispatch_horizon: Annotated[timedelta, duration("0", LADDER_REACH)] = Field(
        timedelta(hours=4),
        description="how far ahead of its slot a job is handed to RabbitMQ; 0 is when due",
    )
    lease: Annotated[timedelta, duration("1s", timedelta(hours=1))] = Field(
        timedelta(seconds=60),
        description="a running job whose lease is not renewed for so long is taken over",
    )
    metrics_port: Annotated[Annotated[int, whole(1, 65535)] | None, Unset("none: not served")] = (
        Field(None, description="where a worker host serves what its processes count")
    )
    metrics_host: Host = Field(
        "127.0.0.1", description="the address that it listens on for that; it asks for no password"
    )
    metrics_dir: Annotated[str | None, Unset("none: needed with `IFOOD_METRICS_PORT`")] = Field(
        None,
        description="folder, of this host alone, in which its processes count together; "
        "it is made if it is missing",
    )
    alert_urls: Annotated[AlertUrls | None, Unset("none: alerts are logged only")] = Field(
        None,
        description="where alerts go: [Apprise](https://github.com/caronc/apprise) URLs, spaces "
        "or commas between them",
    )
    alert_pending_max: Annotated[int, whole(0, 100_000_000)] = Field(
        500, description="more pending jobs than that, while one is late, are an alert"
    )
    alert_failed_max: Annotated[int, whole(0, 100_000_000)] = Field(
        50, description="more failed jobs of the last 24 hours than that are an alert"
    )
    alert_failure_rate: ShareSetting = Field(
        Share.parse("5%"),
        description="a larger share of failed jobs in the last 24 hours is an alert, by kind",
    )
    keep_history: Kept = Field(
        timedelta(days=400),
        description="how long after a job's end its history is kept; the job itself stays; and "
        "how long the acts of operators are kept",
    )
    keep_versions: Annotated[Kept | None, Unset("for ever")] = Field(
        None, description="how long former versions of records are kept after they were replaced"
    )
    keep_raw: Annotated[Kept | None, Unset("for ever")] = Field(
        None,
        description="how long a record keeps its `raw`, which holds personal data, after it was "
        "last seen; its columns stay; a rejected item, which is nothing but that, goes",
    )
    heartbeat_file: Annotated[Path | None, Unset("none")] = Field(
        None,
        description="file that the scheduler touches every 15 seconds, for health checks",
    )
    private_hosts: Annotated[Hosts | None, Unset("none")] = Field(
        None,
        description="hosts that only a network of this installation leads to, commas between "
        "them, as from container to container: `doctor` asks for no TLS there",
    )
    log_level: LogLevel = Field("info", description="`debug`, `info`, `warning` or `error`")

    _origins: dict[str, Origin] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings passes all by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - `load` reads it, see below
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments only: the stock sources let unknown variables pass, and forget origins."""
        return (init_settings,)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        """Check what two settings promise each other; every problem is one line of the error."""
        problems = contradictions(self)
        if problems:
            raise ValueError("\n".join(problems))
        return self

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

    def secret_texts(self) -> frozenset[str]:
        """Give what no log line may show of these settings, in each spelling."""
        secrets = {name: value for name, value in self if isinstance(value, SecretStr)}
        return frozenset[str]().union(
            *(secret_texts(name, value.get_secret_value()) for name, value in secrets.items())
        )

    def reveal_alert_urls(self) -> list[str]:
        return self.alert_urls.get_secret_value().split() if self.alert_urls else []

    def require_encryption_keys(self) -> tuple[str, ...]:
        """Reveal the Fernet keys, newest first, or raise `UsageError`."""
        hint = f"secrets are stored encrypted only; make a key with {NEW_KEY}"
        return tuple(_reveal(self.encryption_keys, "ENCRYPTION_KEYS", hint).split(","))


def _reveal(secret: SecretStr | None, name: str, hint: str) -> str:
    if secret is None:
        raise UsageError(f"{PREFIX}{name} is not set: {hint}")
    return secret.get_secret_value()
