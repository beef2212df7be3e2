"""Broker URLs, as pika's connection parameters with time-outs that suit this system."""

import re
import ssl
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

import pika
from pika.adapters.utils.connection_workflow import AMQPConnectorException
from pika.exceptions import (
    AMQPChannelError,
    AMQPConnectionError,
    ChannelClosed,
    ConnectionClosed,
    ProbableAccessDeniedError,
)

from ifood_actors.broker import tls
from ifood_actors.errors import ServiceUnavailable, UnavailableCause, UsageError

# Every wait on a half-open connection ends. A silent peer is noticed within 30 s, since pika
# looks every `heartbeat` + 5 seconds whether anything came. A publisher that an alarm blocks, or
# that gets no confirm, gives up early enough for a clean stop, which must be done 30 s after TERM.
# The kernel does the same for what pika does not watch: a publisher's idle connection (keepalives)
# and bytes that are not acknowledged (milliseconds). Each can be set in the URL's query instead.
SETTINGS: Final[dict[str, object]] = {
    "heartbeat": 10,
    "blocked_connection_timeout": 20,
    "socket_timeout": 10,
    "stack_timeout": 15,
    "connection_attempts": 1,
    "tcp_options": {
        "TCP_KEEPIDLE": 10,
        "TCP_KEEPINTVL": 5,
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 20_000,
    },
}

BROKEN: Final = (AMQPConnectionError, AMQPChannelError, AMQPConnectorException, OSError)
"""What pika raises when a connection or a channel ends, or cannot be had."""


URL_NAME: Final = "its URL"
"""What a text calls the place of a broker's URL, unless a caller has a setting for it."""

# RabbitMQ refuses with one code for every reason. Only its reply, such as "connection limit (10) is
# reached" or "queue limit in vhost 'x' (20) is reached", says that it is a limit.
_LIMIT_REACHED: Final = re.compile(r" limit .*\(\d+\) is reached")


def connection_parameters(url: str, *, connection_name: str) -> list[pika.URLParameters]:
    """
    Parameters for each of the `;`-separated `amqp://` or `amqps://` URLs, to be tried in order.

    `connection_name` is what RabbitMQ's lists of connections show.
    Raises UsageError, whose text holds no part of a URL: a password with an unescaped character
    may have ended up in any of them.
    """
    urls = url.split(";")
    return [
        _parameters(
            one, connection_name=connection_name, called=f"broker URL {number} of {len(urls)}"
        )
        for number, one in enumerate(urls, start=1)
    ]


def _parameters(url: str, *, connection_name: str, called: str) -> pika.URLParameters:
    try:
        parts = urlsplit(url.strip())
        fault = next((text for test, text in _FAULTS if test(parts)), None)
        parameters = _read(parts) if not fault else None
    except UsageError as error:
        raise UsageError(f"{called}: {error}") from None
    # TypeError: pika unquotes the password of a user who has none.
    except (ValueError, TypeError):
        fault, parameters = "a part of it cannot be read", None
    if parameters is None:
        # Not chained: the library's error quotes the URL.
        raise UsageError(
            f"{called}: {fault}; expected amqp://user:password@host:port/vhost, with special "
            "characters in user, password and vhost percent-encoded"
        ) from None

    given = parse_qs(parts.query)
    for name, value in SETTINGS.items():
        if name not in given:
            setattr(parameters, name, value)
    parameters.client_properties = {"connection_name": connection_name}
    return parameters


def _read(parts: SplitResult) -> pika.URLParameters:
    url, given = tls.split(parts)
    parameters = pika.URLParameters(url)
    if parts.scheme == "amqps":
        parameters.ssl_options = tls.options(given, host=parameters.host)
    return parameters


_FAULTS: Final[tuple[tuple[Callable[[SplitResult], bool], str], ...]] = (
    (lambda parts: parts.scheme not in {"amqp", "amqps"}, "its scheme is not amqp or amqps"),
    (lambda parts: not parts.hostname, "it names no host"),
    (
        lambda parts: "@" in parts.path + parts.query or bool(parts.fragment),
        "user, password or vhost holds an unescaped character",
    ),
    (lambda parts: "/" in parts.path[1:], "its vhost holds an unescaped slash"),
)


def unreachable(
    nodes: Sequence[pika.URLParameters], error: BaseException, *, url_name: str
) -> ServiceUnavailable:
    """Name the hosts, never a user or password, and why a connection to them failed."""
    hosts = ", ".join(f"{node.host}:{node.port}" for node in nodes)
    why = reason(error, url_name=url_name)
    cause: UnavailableCause | None = None
    innermost = _innermost(error)
    if isinstance(innermost, ssl.SSLCertVerificationError):
        cause = "certificate"
    elif _LIMIT_REACHED.search(_reply(innermost)):
        cause = "limit"
    return ServiceUnavailable(f"RabbitMQ at {hosts} cannot be reached: {why}", cause=cause)


def _reply(error: BaseException) -> str:
    """Give what RabbitMQ said when it closed the connection or the channel; else nothing."""
    if isinstance(error, ProbableAccessDeniedError):  # pika keeps the reply as its only argument
        return str(error.args[0])
    return error.reply_text if isinstance(error, ConnectionClosed | ChannelClosed) else ""


def reason(error: BaseException, *, url_name: str = URL_NAME) -> str:
    """Say why a connection failed: pika and Dramatiq wrap the cause up to four times."""
    error = _innermost(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        what = error.verify_message.rstrip(".")
        return f"its certificate is refused, {what}: {tls.ADVICE} {url_name}"
    inner = _wrapped(error)
    if isinstance(inner, str):  # pika's exceptions print it as a tuple
        return inner
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _innermost(error: BaseException) -> BaseException:
    while not isinstance(error, ssl.SSLCertVerificationError):
        inner = _wrapped(error)
        if not isinstance(inner, BaseException):
            break
        error = inner
    return error


def _wrapped(error: BaseException) -> object:
    inner = getattr(error, "exception", None) or next(iter(error.args), None)
    while isinstance(inner, tuple | list) and inner:
        inner = inner[0]
    return inner
