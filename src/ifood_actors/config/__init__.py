"""Settings from `IFOOD_` variables: the only place of the project that reads the environment."""

from ifood_actors.config.listing import SettingRow, describe, markdown
from ifood_actors.config.reading import (
    child_environment,
    count_together,
    load,
    read_client_secret,
    stderr_is_journal,
    sudo_user,
)
from ifood_actors.config.settings import Settings
from ifood_actors.config.values import format_duration, parse_duration

__all__ = [
    "SettingRow",
    "Settings",
    "child_environment",
    "count_together",
    "describe",
    "format_duration",
    "load",
    "markdown",
    "parse_duration",
    "read_client_secret",
    "stderr_is_journal",
    "sudo_user",
]
