"""
Checks of texts that name something outside: hosts, URLs, keys, schemas, files of certificates.

Each returns the text as it is used, or raises `ValueError` with what was expected, not with what
was given: that may hold a password.
"""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

# What separates URLs may also stand in one.
_BETWEEN_URLS = re.compile(r"[\s,;]+(?=[A-Za-z][\w+.-]*://)")
_ESCAPES = "special characters in a password must be written as %XX"
_LONGEST_NAME = 63  # bytes of a schema; Postgres would cut off the rest
_APPRISE_URL = re.compile(r"[A-Za-z][\w+.-]*://\S+")


def is_loopback(host: str) -> bool:
    """Tell whether `host`, a name or an address, is this machine."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def host(text: str) -> str:
    """Check the name or the address of a host; it is lowered."""
    if not re.fullmatch(r"[a-z0-9.:-]+", name := text.strip().lower()):
        raise ValueError("expected the name of a host, without scheme and path")
    return name


def hosts(text: str) -> str:
    """Check each of the hosts that commas separate."""
    return ",".join(map(host, text.split(",")))


def database_url(text: str) -> str:
    """Give a URL of Postgres the scheme that libpq reads; libpq reads the rest: `postgres_url`."""
    scheme, _, rest = text.strip().partition("://")
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise ValueError("expected a URL that starts with postgresql://")
    return f"postgresql://{rest}"


def broker_url(text: str) -> str:
    """Check each of the URLs of RabbitMQ that `;` separates: the nodes of one cluster."""
    nodes = [node.strip() for node in text.split(";")]
    for node in nodes:
        parts = _split(node, expected="amqp://user:password@host:5672/vhost")
        if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
            raise ValueError("expected amqp://host or amqps://host, several separated by ;")
        if "@" in parts.path + parts.query or "/" in parts.path[1:]:
            raise ValueError(f"after the host stand vhost and parameters only; {_ESCAPES}")
    return ";".join(nodes)


def alert_urls(text: str) -> str:
    """Check that each looks like a URL of Apprise, and separate them by spaces."""
    urls = _BETWEEN_URLS.split(text.strip())
    for number, url in enumerate(urls, start=1):
        if not _APPRISE_URL.fullmatch(url):
            which = f"number {number} of {len(urls)} is none"
            raise ValueError(f"expected Apprise URLs separated by spaces or commas; {which}")
    return " ".join(urls)


def base_url(text: str) -> str:
    """Check an origin, with or without a path: https, or http to this machine."""
    text = text.strip().rstrip("/")
    parts = _split(text, expected="https://host")
    if "@" in parts.netloc or parts.query or "?" in text:
        raise ValueError("expected a URL without credentials and without a query")
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("expected a URL such as https://merchant-api.ifood.com.br")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("expected https; plain http is for a simulator on this machine only")
    return text


def schema(text: str) -> str:
    """Take the name of a schema as it is: neither quoted nor folded to small letters."""
    name = text.strip()
    taken = name.startswith("pg_") or name in ("information_schema", "reporting")
    if not name or "\0" in name or len(name.encode()) > _LONGEST_NAME or taken:
        raise ValueError(
            "expected the name of a schema for the tables, as it is, without quotes; "
            "reporting and those of Postgres are taken"
        )
    return name


def authorities_file(text: str) -> str:
    """Take the path of a PEM file with at least one certificate."""
    import ssl  # noqa: PLC0415 - 20 ms of every command's start, for a setting that few have

    path = text.strip()
    if not path:  # OpenSSL would take the machine's authorities
        raise ValueError("expected a PEM file of certificates")
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:  # not there, not readable; an SSLError for what is no certificate
        raise ValueError(f"expected a PEM file of certificates ({error.strerror})") from None
    return path


def fernet_keys(text: str) -> str:
    """Check each of the Fernet keys that commas separate."""
    keys = [key.strip() for key in text.split(",")]
    for number, key in enumerate(keys, start=1):
        # 32 bytes. To decode is no test: it ignores what follows the padding, such as another key.
        if not re.fullmatch(r"[\w-]{43}=", key, re.ASCII):
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
