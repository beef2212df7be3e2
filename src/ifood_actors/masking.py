"""
Masking secrets: which texts of the settings are one, what of a URL may be shown, foreign text.

What is shown of a URL is put together from parts that are known to be harmless: a pattern that
takes the password out finds it in most spellings only. Foreign text is searched for secrets: a
server that complains about a request may repeat it URL-encoded, form-encoded, escaped for JSON or
HTML, in quotes, one of these within another, or cut short.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from html import unescape
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from pydantic import SecretStr

from ifood_actors import postgres_url
from ifood_actors.config import Settings

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
# A piece of a secret so long is masked wherever it stands. Shorter ones are words by chance.
_PIECE = 8
# Spellings within one another that are undone, such as JSON in a URL in a log of a proxy.
_DEEPEST = 3
_ESCAPES = re.compile(
    r"""
    (?P<url>(?:%[0-9a-f]{2})+)
    | (?P<utf16>(?:\\u[0-9a-f]{4})+)
    | \\x(?P<hex>[0-9a-f]{2})
    | \\(?P<char>[\\/"'])
    | (?P<html>&(?:\#[0-9]{1,7}|\#x[0-9a-f]{1,6}|[a-z]{2,8});)
    """,
    re.IGNORECASE | re.VERBOSE,
)
# In a form, a plus is a space: so they are one, on both sides.
_FORM = str.maketrans("+", " ")


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


def secret_texts(settings: Settings) -> frozenset[str]:
    """Give what no log line may show of these settings, in each spelling that a text may have."""
    return frozenset(
        text
        for name, value in settings
        if isinstance(value, SecretStr)
        for text in _texts_of(name, value.get_secret_value())
    )


def mask(text: str, secrets: Iterable[str]) -> str:
    """Replace in `text` every piece of a secret of eight characters or more by `***`."""
    pieces = [_pieces(secret.translate(_FORM)) for secret in secrets if secret]
    hidden = bytearray(len(text))
    shown, places = text, [(at, at + 1) for at in range(len(text))]
    for _ in range(_DEEPEST + 1):
        for start, end in _found(shown.translate(_FORM), pieces):
            first, last = places[start][0], places[end - 1][1]
            hidden[first:last] = b"\1" * (last - first)
        plain, spans = _undone(shown)
        if plain == shown:
            break
        shown = plain
        places = [(places[start][0], places[end - 1][1]) for start, end in spans]
    return "".join(_masked(text, hidden))


def _pieces(secret: str) -> tuple[int, frozenset[str]]:
    length = min(_PIECE, len(secret))
    return length, frozenset(secret[at : at + length] for at in range(len(secret) - length + 1))


def _found(text: str, pieces: Sequence[tuple[int, frozenset[str]]]) -> Iterable[tuple[int, int]]:
    for length, known in pieces:
        for at in range(len(text) - length + 1):
            if text[at : at + length] in known:
                yield at, at + length


def _undone(text: str) -> tuple[str, list[tuple[int, int]]]:
    """Undo one layer of escapes; give the text, and where each of its characters stood."""
    plain: list[str] = []
    spans: list[tuple[int, int]] = []
    at = 0
    for escape in _ESCAPES.finditer(text):
        plain.append(text[at : escape.start()])
        spans += [(place, place + 1) for place in range(at, escape.start())]
        meant = _meant(escape)
        plain.append(meant)
        spans += [escape.span()] * len(meant)
        at = escape.end()
    plain.append(text[at:])
    spans += [(place, place + 1) for place in range(at, len(text))]
    return "".join(plain), spans


def _meant(escape: re.Match[str]) -> str:
    text = escape[0]
    match escape.lastgroup:
        case "url":
            return bytes.fromhex(text.replace("%", "")).decode(errors="replace")
        case "utf16":
            return bytes.fromhex(re.sub(r"\\u", "", text, flags=re.IGNORECASE)).decode(
                "utf-16-be", errors="replace"
            )
        case "hex":
            return chr(int(escape["hex"], 16))
        case "char":
            return escape["char"]
        case _:
            return unescape(text)


def _masked(text: str, hidden: bytearray) -> Iterable[str]:
    for at, char in enumerate(text):
        if not hidden[at]:
            yield char
        elif at == 0 or not hidden[at - 1]:
            yield MASK


def _texts_of(name: str, value: str) -> frozenset[str]:
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
