"""
What a setting's text may say, one function per type.

Each raises `ValueError` with what was expected, never with what was given: that may be a secret,
and whoever reports the problem knows whether it is.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from ifood_actors.spans import Window

_DURATION = re.compile(r"(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,7})s)?")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%")
# What separates URLs may also stand in one.
_BETWEEN_URLS = re.compile(r"[\s,;]+(?=[A-Za-z][\w+.-]*://)")
_ESCAPES = "special characters in a password must be written as %XX"
_APPRISE_URL = re.compile(r"[A-Za-z][\w+.-]*://\S+")


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole, from 0 to 1, written in percent."""

    of_one: float

    @classmethod
    def parse(cls, text: str) -> "Share":
        """Read `5%` or `0.5%`; the sign is needed, since 0.5 could mean either."""
        match = _PERCENT.fullmatch(text.strip())
        if match is None or not 0 <= float(match[1]) <= 100:  # noqa: PLR2004 - percent
            raise ValueError("expected a percentage from 0% to 100%, such as 5%")
        return cls(float(match[1]) / 100)

    def __str__(self) -> str:
        return f"{100 * self.of_one:g}%"


def parse_duration(text: str) -> timedelta:
    """Read `45s`, `10m`, `4h33m`, `2d` or `0`: whole numbers, largest unit first."""
    match = _DURATION.fullmatch(text.strip().lower())
    if text.strip() == "0":
        return timedelta()
    if match is None or not any(match.groups()):
        raise ValueError("expected a duration such as 45s, 10m, 4h or 2d")

    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def format_duration(duration: timedelta) -> str:
    """Write whole seconds the way `parse_duration` reads them."""
    seconds = int(duration.total_seconds())
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0"


def duration(low: timedelta, high: timedelta) -> Callable[[object], timedelta]:
    """Accept a duration from `low` to `high`, both included."""

    def read(value: object) -> timedelta:
        found = value if isinstance(value, timedelta) else parse_duration(str(value))
        if not low <= found <= high:
            bounds = f"from {format_duration(low)} to {format_duration(high)}"
            raise ValueError(f"expected a duration {bounds}")
        return found

    return read


def whole(low: int, high: int) -> Callable[[object], int]:
    """Accept a whole number from `low` to `high`, both included."""

    def read(value: object) -> int:
        text = str(value).strip()
        if not re.fullmatch("[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return int(text)

    return read


def one_of(*choices: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        text = str(value).strip().lower()
        if text not in choices:
            raise ValueError(f"expected {' or '.join(choices)}")
        return text

    return read


def batch_size(value: object) -> int | str:
    """Accept `auto` or jobs per minute."""
    text = str(value).strip().lower()
    if text == "auto":
        return text
    try:
        return whole(1, 1_000_000)(text)
    except ValueError:
        raise ValueError("expected auto or a whole number of jobs per minute, at least 1") from None


def window(value: object) -> Window:
    return value if isinstance(value, Window) else Window.parse(str(value))


def share(value: object) -> Share:
    return value if isinstance(value, Share) else Share.parse(str(value))


def alert_urls(text: str) -> str:
    """Check that each looks like a URL; which ones Apprise knows, it says at the start."""
    urls = _BETWEEN_URLS.split(text.strip())
    for number, url in enumerate(urls, start=1):
        if not _APPRISE_URL.fullmatch(url):
            which = f"number {number} of {len(urls)} is none"
            raise ValueError(f"expected Apprise URLs separated by spaces or commas; {which}")
    return " ".join(urls)


def zone(value: object) -> ZoneInfo:
    if isinstance(value, ZoneInfo):
        return value
    try:
        return ZoneInfo(str(value).strip())
    except (KeyError, ValueError, OSError):  # unknown, a path, a folder of zones
        raise ValueError("expected a time zone such as America/Sao_Paulo") from None


def broker_url(text: str) -> str:
    """Check each of the URLs that `;` separates: the nodes of one cluster."""
    nodes = [node.strip() for node in text.split(";")]
    for node in nodes:
        parts = _split(node, expected="amqp://user:password@host:5672/vhost")
        if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
            raise ValueError("expected amqp://host or amqps://host, several separated by ;")
        if "@" in parts.path + parts.query or "/" in parts.path[1:]:
            raise ValueError(f"after the host stand vhost and parameters only; {_ESCAPES}")
    return ";".join(nodes)


def base_url(value: object) -> str:
    """Accept an origin, with a path perhaps; https, or http to this machine only."""
    text = str(value).strip().rstrip("/")
    parts = _split(text, expected="https://host")
    if "@" in parts.netloc or parts.query or "?" in text:
        raise ValueError("expected a URL without credentials and without a query")
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("expected a URL such as https://merchant-api.ifood.com.br")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("expected https; plain http is for a simulator on this machine only")
    return text


def host(value: object) -> str:
    text = str(value).strip().lower()
    if not re.fullmatch(r"[a-z0-9.:-]+", text):
        raise ValueError("expected the name of a host, without scheme and path")
    return text


def authorities_file(value: object) -> str:
    """Accept the path of a PEM file with at least one certificate."""
    import ssl  # noqa: PLC0415 - 20 ms of every command's start, for a setting that few have

    path = str(value).strip()
    if not path:  # OpenSSL would take the machine's authorities
        raise ValueError("expected a PEM file of certificates")
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # not there, not readable; an SSLError for what is no certificate
        raise ValueError(f"expected a PEM file of certificates ({error.strerror})") from None
    return path


def hosts(value: object) -> str:
    return ",".join(host(each) for each in str(value).split(","))


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def fernet_keys(text: str) -> str:
    keys = [key.strip() for key in text.split(",")]
    for number, key in enumerate(keys, start=1):
        if not _is_fernet_key(key):
            which = f"number {number} of {len(keys)} is no such key"
            raise ValueError(f"expected Fernet keys separated by commas, newest first; {which}")
    return ",".join(keys)


def _split(text: str, *, expected: str) -> SplitResult:
    try:
        parts = urlsplit(text.strip())
        _ = parts.port  # parsed on access
    except ValueError:  # its text quotes the password
        parts = None
    if parts is None or parts.fragment or re.search(r"\s", text.strip()):
        raise ValueError(f"expected a URL such as {expected}; {_ESCAPES}")
    return parts


def _is_fernet_key(key: str) -> bool:
    # 32 bytes. To decode it is no test: that ignores what stands behind the padding, a second key.
    return re.fullmatch(r"[\w-]{43}=", key, re.ASCII) is not None
