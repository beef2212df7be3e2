"""
TLS to RabbitMQ, by the parameters of its own URIs: `cacertfile`, `certfile`, `keyfile` and so on.

The server's certificate and its host name are always checked. pika knows no such parameters, and
its own `ssl_options` would check nothing unless told to.
"""

import ssl
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlencode

import pika

from ifood_actors.errors import UsageError

PARAMETERS: Final = ("cacertfile", "certfile", "keyfile", "server_name_indication", "verify")

ADVICE: Final = "renew it, correct the host, or name its authority by cacertfile=FILE in"


def split(parts: SplitResult) -> tuple[str, dict[str, str]]:
    """
    Take the parameters of TLS out of a URL: the URL for pika, and what they say.

    Raises UsageError, saying what is wrong and quoting nothing.
    """
    query = parse_qsl(parts.query, keep_blank_values=True)
    given = {name: value for name, value in query if name in PARAMETERS}
    others = [(name, value) for name, value in query if name not in PARAMETERS]
    if "ssl_options" in dict(others):
        raise UsageError(f"ssl_options is not known here, but {', '.join(PARAMETERS[:4])} are")
    if given and parts.scheme != "amqps":
        raise UsageError("it has parameters of TLS, but its scheme is not amqps")
    if given.get("verify", "verify_peer") != "verify_peer":
        raise UsageError("the certificate is always checked: verify can be verify_peer only")
    if blank := next((name for name, value in given.items() if not value.strip()), None):
        raise UsageError(f"its {blank} is empty")
    if "keyfile" in given and "certfile" not in given:
        raise UsageError("it has a keyfile, but no certfile")
    return parts._replace(query=urlencode(others)).geturl(), given


def options(given: dict[str, str], *, host: str) -> pika.SSLOptions:
    """
    Make TLS that checks the certificate, for `host` unless another name is given.

    Without `cacertfile`, the machine's authorities are trusted. Raises UsageError for a file that
    cannot be used, by its parameter.
    """
    try:
        context = ssl.create_default_context(cafile=given.get("cacertfile"))
    except OSError as error:
        raise UsageError(f"its cacertfile cannot be used: {_text(error)}") from None
    if "certfile" in given:
        try:
            # An empty password, or OpenSSL would ask for one on the terminal.
            context.load_cert_chain(given["certfile"], given.get("keyfile"), password="")
        except OSError as error:
            raise UsageError(f"its certfile or keyfile cannot be used: {_text(error)}") from None
    return pika.SSLOptions(context, given.get("server_name_indication", host))


def _text(error: OSError) -> str:
    """Say it without the file's name, which came from a URL."""
    return error.strerror or type(error).__name__
