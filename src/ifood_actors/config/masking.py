"""
Secrets of settings: which texts they are, and what of a URL may be shown.

What is shown is put together from parts that are known to be harmless: a pattern that takes the
password out of a URL finds it in most spellings only.
"""

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from ifood_actors.config import postgres_url

MASK = "***"
SHORTEST = 6  # characters; what is shorter may be a word, and is masked by its place only

# Of a broker's URL: those of TLS, of RabbitMQ's own URIs, and pika's. Others are hidden.
_OF_THE_BROKER = frozenset(
    {"cacertfile", "certfile", "keyfile", "server_name_indication", "verify", "locale"}
    | {"blocked_connection_timeout", "channel_max", "connection_attempts", "frame_max"}
    | {"heartbeat", "retry_delay", "socket_timeout", "stack_timeout", "tcp_options"}
)
_BETWEEN = re.compile(r"[\s/:@?&=,;#]+")
# What is no secret in the URL of a webhook: addresses, numbers, and words such as `services`.
_HARMLESS = re.compile(r"[\d.]+|([\w-]+\.)+[a-z]{2,}|[a-z_-]+", re.IGNORECASE)


def shown_database(url: str) -> str:
    """Show where a connection to Postgres goes: libpq itself names what is no secret."""
    given = postgres_url.parameters(url)
    hidden = postgres_url.hidden_parameters()
    user = quote(given.pop("user", ""))
    user += f":{MASK}" if given.pop("password", None) else ""
    hosts = given.pop("host", "").split(",")
    ports = given.pop("port", "").split(",")
    ports += [ports[-1]] * (len(hosts) - len(ports))
    places = ",".join(map(_place, hosts, ports))
    name = quote(given.pop("dbname", ""))
    query = "&".join(
        f"{key}={MASK if key in hidden else quote(value, safe='/,-')}"
        for key, value in sorted(given.items())
    )
    return f"postgresql://{user}{'@' if user else ''}{places}/{name}{'?' if query else ''}{query}"


def shown_broker(urls: str) -> str:
    """Show where connections to RabbitMQ go, node by node."""
    return ";".join(map(_shown_url, urls.split(";")))


def secret_texts(name: str, value: str) -> frozenset[str]:
    """Give what must not be shown of a secret setting, in each spelling that a text may have."""
    match name:
        case "database_url":
            given, hidden = postgres_url.parameters(value), postgres_url.hidden_parameters()
            secrets = [text for key, text in given.items() if key in hidden]
        case "broker_url":
            secrets = [text for node in value.split(";") for text in _secrets_of_url(node)]
        case _:
            secrets = [part for part in _BETWEEN.split(value) if not _HARMLESS.fullmatch(part)]
            secrets += [text for url in value.split() for text in _secrets_of_url(url)]
    spelt = {spelling for secret in [*secrets, value] for spelling in _spellings(secret)}
    return frozenset(spelling for spelling in spelt if len(spelling) >= SHORTEST)


def _place(host: str, port: str) -> str:
    named = f"[{host}]" if host.count(":") > 1 else quote(host, safe="")
    return f"{named}{':' if port else ''}{port}"


def _shown_url(url: str) -> str:
    parts = urlsplit(url)
    credentials, at, place = parts.netloc.rpartition("@")
    user, colon, _ = credentials.partition(":")
    query = "&".join(
        each if each.partition("=")[0] in _OF_THE_BROKER else MASK
        for each in parts.query.split("&")
    )
    shown = f"{parts.scheme}://{user}{colon}{MASK if colon else ''}{at}{place}{parts.path}"
    return f"{shown}?{query}" if parts.query else shown


def _secrets_of_url(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
    except ValueError:  # Apprise reads more than URLs are
        return
    yield parts.password or ""
    for name, value in parse_qsl(parts.query):
        if name not in _OF_THE_BROKER:
            yield value


def _spellings(secret: str) -> Iterable[str]:
    plain = unquote(secret)
    for text in (secret, plain):
        yield from (text, quote(text, safe=""), quote(text), quote_plus(text))
        yield from (repr(text)[1:-1], json.dumps(text)[1:-1])
