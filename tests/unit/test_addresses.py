from urllib.parse import quote

import pika
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pika.exceptions import (
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    ProbableAccessDeniedError,
)

from ifood_actors.broker.addresses import connection_parameters, unreachable
from ifood_actors.errors import UsageError

SECRET = "hunter2"
NO_PEM = quote(__file__)


def read(url: str) -> list[pika.URLParameters]:
    return connection_parameters(url, connection_name="test")


def test_a_url_is_read_and_gets_time_outs():
    (one,) = read(f"amqp://me:{SECRET}@rabbit:5673/my%2Fhost")

    assert (one.host, one.port, one.virtual_host) == ("rabbit", 5673, "my/host")
    assert one.ssl_options is None
    assert one.heartbeat == 10
    assert one.blocked_connection_timeout == 20
    assert one.socket_timeout == 10
    assert one.stack_timeout == 15
    assert one.connection_attempts == 1
    assert one.tcp_options is not None
    assert one.tcp_options["TCP_USER_TIMEOUT"] == 20_000
    assert one.client_properties == {"connection_name": "test"}


def test_a_url_may_choose_its_own_time_outs():
    (one,) = read("amqp://rabbit/?heartbeat=5")

    assert (one.heartbeat, one.stack_timeout) == (5, 15)


def test_amqps_verifies_the_certificate():
    (one,) = read("amqps://rabbit")

    assert one.port == 5671
    assert one.ssl_options is not None
    assert one.ssl_options.context.check_hostname


def test_a_name_to_check_may_be_given_and_is_else_the_host():
    (host,) = read("amqps://rabbit")
    (name,) = read("amqps://10.0.0.7/?server_name_indication=rabbit&heartbeat=5")

    assert host.ssl_options is not None
    assert name.ssl_options is not None
    assert (host.ssl_options.server_hostname, name.ssl_options.server_hostname) == ("rabbit",) * 2
    assert name.heartbeat == 5


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("amqp://me:hunter2@rabbit/?cacertfile=/ca.pem", "its scheme is not amqps"),
        ("amqps://me:hunter2@rabbit/?verify=verify_none", "always checked"),
        ("amqps://me:hunter2@rabbit/?ssl_options={'cert_reqs':0}", "ssl_options is not known"),
        (
            "amqps://me:hunter2@rabbit/?cacertfile=/hunter2.pem",
            "cacertfile cannot be used: No",
        ),
        (f"amqps://me:hunter2@rabbit/?cacertfile={NO_PEM}", "cacertfile cannot be used: "),
        ("amqps://me:hunter2@rabbit/?cacertfile=", "cacertfile is empty"),
        ("amqps://me:hunter2@rabbit/?keyfile=/hunter2.pem", "a keyfile, but no certfile"),
        (f"amqps://me:hunter2@rabbit/?certfile={NO_PEM}", "certfile or keyfile cannot be used: "),
    ],
)
def test_tls_is_refused_unless_it_checks_the_certificate(url, fault):
    with pytest.raises(UsageError, match=f"^broker URL 1 of 1: .*{fault}") as refused:
        read(url)

    assert SECRET not in str(refused.value)


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(tmp_path):
    leaf = trustme.CA().issue_cert("client")
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    locked = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
    )
    (tmp_path / "both.pem").write_bytes(locked + leaf.cert_chain_pems[0].bytes())

    with pytest.raises(UsageError, match="certfile or keyfile cannot be used"):
        read(f"amqps://rabbit/?certfile={tmp_path}/both.pem")


def test_several_urls_are_tried_in_order():
    assert [one.host for one in read("amqp://a; amqp://b;amqps://c")] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "rabbit:5672",
        f"http://me:{SECRET}@rabbit/",
        f"amqpx://me:{SECRET}@rabbit/",
        f"amqp://me:{SECRET}@/",
        f"amqp://me:{SECRET}@rabbit:port/",
        f"amqp://me:{SECRET}@rabbit:99999/",
        "amqp://me@rabbit/",
        f"amqp://me:{SECRET}/x@rabbit/",
        f"amqp://me:{SECRET}#x@rabbit/",
        f"amqp://me:1#{SECRET}@rabbit/",
        f"amqp://me:1/{SECRET}@rabbit/",
        f"amqp://me:1?{SECRET}@rabbit/",
        f"amqp://me:{SECRET}@rabbit/a/b",
        f"amqp://me:{SECRET}@rabbit/?heartbeat=x",
        f"amqp://me:{SECRET}@rabbit/?heartbeats=3",
        f"amqp://me:{SECRET}@rabbit/;",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_and_not_shown(url):
    with pytest.raises(UsageError, match=r"^broker URL \d of \d: .*percent-encoded$") as refused:
        read(url)

    assert SECRET not in str(refused.value)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (
            ProbableAccessDeniedError(
                "ConnectionClosedByBroker: (530) \"NOT_ALLOWED - access to vhost '/' refused for "
                "user 'me': connection limit (10) is reached\""
            ),
            "limit",
        ),
        (ConnectionClosedByBroker(530, "user connection limit (3) is reached"), "limit"),
        (ChannelClosedByBroker(406, "queue limit in vhost 'x' (3) is reached"), "limit"),
        (ConnectionClosedByBroker(320, "CONNECTION_FORCED - a limit of time"), None),
        (OSError(24, "the limit of open files (1024) is reached"), None),
    ],
)
def test_a_limit_is_known_by_the_reply_of_rabbitmq_alone(error, cause):
    assert unreachable(read("amqp://rabbit"), error, url_name="its URL").cause == cause
