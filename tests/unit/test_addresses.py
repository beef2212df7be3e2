import pika
import pytest

from ifood_actors.errors import UsageError
from ifood_actors.messaging.addresses import connection_parameters

SECRET = "hunter2"


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
