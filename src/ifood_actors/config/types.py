"""The types of settings: how the text of each is read, and within which bounds."""

from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, SecretStr

from ifood_actors.config import postgres_url, values
from ifood_actors.config.values import Share
from ifood_actors.spans import WEEKDAYS, Window

DAY = timedelta(days=1)
DEFAULT_API = "https://merchant-api.ifood.com.br"


def _secret(read: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda secret: SecretStr(read(secret.get_secret_value())))


def duration(low: str, high: timedelta) -> BeforeValidator:
    return BeforeValidator(values.duration(values.parse_duration(low), high))


def whole(low: int, high: int) -> BeforeValidator:
    return BeforeValidator(values.whole(low, high))


DatabaseUrl = Annotated[SecretStr, _secret(postgres_url.database_url)]
Schema = Annotated[str, BeforeValidator(postgres_url.schema)]
BrokerUrl = Annotated[SecretStr, _secret(values.broker_url)]
AlertUrls = Annotated[SecretStr, _secret(values.alert_urls)]
FernetKeys = Annotated[SecretStr, _secret(values.fernet_keys)]
Zone = Annotated[ZoneInfo, BeforeValidator(values.zone)]
WindowSetting = Annotated[Window, BeforeValidator(values.window)]
BaseUrl = Annotated[str, BeforeValidator(values.base_url)]
Host = Annotated[str, BeforeValidator(values.host)]
Hosts = Annotated[str, BeforeValidator(values.hosts)]
AuthoritiesFile = Annotated[str, BeforeValidator(values.authorities_file)]
ShareSetting = Annotated[Share, BeforeValidator(values.share)]
BatchSize = Annotated[int | Literal["auto"], BeforeValidator(values.batch_size)]
Overflow = Annotated[
    Literal["refuse", "extend"], BeforeValidator(values.one_of("refuse", "extend"))
]
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error"],
    BeforeValidator(values.one_of("debug", "info", "warning", "error")),
]
Switch = Annotated[bool, BeforeValidator(values.one_of("true", "false"))]
Weekday = Annotated[str, BeforeValidator(values.one_of(*WEEKDAYS))]
# At least what no pull reads again by itself, and a trigger lets go of.
Kept = Annotated[timedelta, duration("90d", 9999 * DAY)]
