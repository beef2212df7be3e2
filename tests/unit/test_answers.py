"""What an answer means: a class by status, a pause by headers, a value by JSON."""

from datetime import timedelta
from decimal import Decimal

import httpx
import pytest
from support.api import CUT, OF_A_GATEWAY, OF_IFOOD, PAGE

from ifood_actors import errors
from ifood_actors.ifood.http.answers import (
    DEFAULT_PAUSE,
    author_of,
    error_text,
    is_served,
    parse,
    pause,
    raise_for_ifood,
    rate_headers,
)
from ifood_actors.ifood.http.transport import Answer


def answer(status: int = 200, body: bytes = b"", *, secrets: tuple[str, ...] = ()) -> Answer:
    return Answer(status, httpx.Headers(), body, secrets)


def meaning(status: int) -> type[errors.JobError] | None:
    """The table of the classes, written a second time and in another way."""
    if status in {200, 204}:
        return None
    named: dict[int, type[errors.JobError]] = {
        401: errors.Unauthorized,
        403: errors.Forbidden,
        408: errors.ServerFault,
        425: errors.ServerFault,
        429: errors.Throttled,
    }
    return named.get(status, errors.Rejected if status // 100 == 4 else errors.ServerFault)


def raised_by(given: Answer) -> type[errors.JobError] | None:
    try:
        raise_for_ifood(given)
    except errors.JobError as error:
        return type(error)
    return None


@pytest.mark.parametrize("status", range(100, 600))
def test_every_status_has_one_meaning_when_ifood_says_it(status):
    assert {raised_by(answer(status, body)) for body in OF_IFOOD} == {meaning(status)}


@pytest.mark.parametrize("status", range(100, 600))
def test_no_word_of_a_gateway_is_believed_whatever_its_status(status):
    transient = errors.Throttled if status == 429 else errors.GatewayFault

    assert {raised_by(answer(status, body)) for body in OF_A_GATEWAY} == {transient}


@pytest.mark.parametrize("status", range(100, 600))
def test_what_was_cut_is_a_fault_that_may_pass_whatever_its_status(status):
    transient = errors.Throttled if status == 429 else errors.ServerFault

    assert {raised_by(answer(status, body)) for body in CUT} == {transient}


@pytest.mark.parametrize("status", [200, 403, 404, 502])
@pytest.mark.parametrize(
    ("author", "bodies"), [("ifood", OF_IFOOD), ("gateway", OF_A_GATEWAY), ("unknown", CUT)]
)
def test_the_body_alone_tells_whose_word_an_answer_is(status, author, bodies):
    assert {author_of(answer(status, body)) for body in bodies} == {author}


@pytest.mark.parametrize(
    ("status", "refuses"), [(401, True), (403, True), (404, False), (502, False)]
)
def test_a_gateway_refuses_an_application_by_401_and_403(status, refuses):
    with pytest.raises(errors.GatewayFault) as raised:
        raise_for_ifood(answer(status, PAGE))

    assert (raised.value.code, raised.value.status) == ("gateway", status)
    assert raised.value.refuses is refuses


def test_a_rejection_carries_status_and_message():
    body = b'{"error": {"code": "BadRequest", "message": "Invalid page 4: pageCount = 3"}}'

    with pytest.raises(errors.Rejected, match="Invalid page 4: pageCount = 3") as raised:
        raise_for_ifood(answer(400, body))

    assert raised.value.status == 400


SECONDS_ASKED = [
    ({"Retry-After": "7"}, 7),
    ({"Retry-After": " 7 "}, 7),
    ({"Retry-After": "1.5"}, 1.5),
    ({"Retry-After": "0"}, 1),
    ({"Retry-After": "0.2"}, 1),
    ({"Retry-After": "3600"}, 3600),
    ({"Retry-After": "86400"}, 3600),
    ({"Retry-After": "9" * 400}, 3600),
    ({"Retry-After": "-5"}, 30),
    ({"Retry-After": "soon"}, 30),
    ({"Retry-After": "inf"}, 30),
    ({"Retry-After": "nan"}, 30),
    ({"Retry-After": "1e3"}, 30),
    ({"Retry-After": "٣"}, 30),
    ({"Retry-After": ""}, 30),
    ({}, 30),
    ({"X-RateLimit-Reset": "12"}, 12),
    ({"X-RateLimit-Reset": "x"}, 30),
    ({"Retry-After": "7", "X-RateLimit-Reset": "12"}, 7),
    ({"Retry-After": "-5", "X-RateLimit-Reset": "12"}, 12),
    ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30),  # long past
    ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 3600),
    ({"Retry-After": "Fri, 99 Foo 9999 23:59:59 GMT"}, 30),
]


@pytest.mark.parametrize(("headers", "seconds"), SECONDS_ASKED)
def test_a_429_is_obeyed_within_a_second_and_an_hour(headers, seconds):
    headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    assert pause(httpx.Headers(headers)) == timedelta(seconds=seconds)


def test_a_date_is_measured_by_the_clock_of_the_server():
    headers = {
        "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
        "Retry-After": "Wed, 21 Oct 2015 07:28:45 GMT",
    }

    assert pause(httpx.Headers(headers)) == timedelta(seconds=45)


RATES_TOLD = [
    ({}, (None, None, None)),
    (
        {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "7"},
        (300, 0, timedelta(seconds=7)),
    ),
    ({"X-RateLimit-Limit": " 300 ", "X-RateLimit-Reset": "99999"}, (300, None, timedelta(hours=1))),
    ({"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "-1"}, (None, None, None)),
    ({"X-RateLimit-Limit": "3e2", "X-RateLimit-Remaining": "٣"}, (None, None, None)),
    ({"X-RateLimit-Limit": "300, 300;w=60", "X-RateLimit-Reset": "soon"}, (None, None, None)),
    ({"X-RateLimit-Limit": "9" * 5000}, (None, None, None)),
]


@pytest.mark.parametrize(("headers", "told"), RATES_TOLD)
def test_what_an_answer_tells_of_the_limit_is_a_number_or_nothing(headers, told):
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]

    rate = rate_headers(httpx.Headers(encoded))

    assert (rate.limit, rate.remaining, rate.reset) == told


@pytest.mark.parametrize("status", range(100, 600))
def test_only_what_ifood_itself_answered_shows_that_it_works(status):
    faults = {errors.ServerFault, errors.Throttled}

    for body in OF_IFOOD:
        assert is_served(answer(status, body)) == (meaning(status) not in faults)
    for body in OF_A_GATEWAY + CUT:
        assert not is_served(answer(status, body))


def test_a_throttled_answer_carries_its_pause():
    with pytest.raises(errors.Throttled) as raised:
        raise_for_ifood(answer(429))

    assert raised.value.after == DEFAULT_PAUSE


ERROR_BODIES = [
    (b'{"error": {"code": "X", "message": "no such span", "field": "y"}}', "no such span"),
    (b'{"error": "404", "message": "nothing there"}', "nothing there"),
    (b'{"code": "409", "message": "in progress"}', "in progress"),
    (b'{"message": "API rate limit exceeded"}', "API rate limit exceeded"),
    (b'{"error": {"message": 5}}', '{"error": {"message": 5}}'),
    (b"[1]", "[1]"),
    (PAGE, 'HTML page "Attention Required! | Cloudflare"'),
    (b'<TITLE class=x>\n 403 &amp;\n "no" </TITLE>', "HTML page \"403 & 'no'\""),
    (b"<title>" + b"long " * 100, 'HTML page "' + "long " * 15 + 'long"'),
    (b"<html>\n<b>502</b>\n</html>", "HTML page without a title"),
    (b"<title></title>", "HTML page without a title"),
    (b"oops: <html><body>", "HTML page without a title"),
    (b"<title" * 5_000, "HTML page without a title"),
    (b'{"message": "<html><title>502</title></html>"}', 'HTML page "502"'),
    (b"a\x1b[31m\x00red\xe2\x80\xa8\xff", "a [31m red \ufffd"),
    (b"[" * 30_000, "[" * 200),
    (b"x" * 500, "x" * 200),
    (b"", ""),
]


@pytest.mark.parametrize(("body", "text"), ERROR_BODIES)
def test_the_text_of_an_error_is_one_short_printable_line(body, text):
    assert error_text(answer(400, body)) == text


def test_a_server_that_echoes_a_secret_does_not_bring_it_into_a_log():
    secret = "s3cr3t" * 1000
    echoed = answer(400, f"you sent {secret}".encode(), secrets=(secret,))
    titled = answer(400, f"<title>no &#115;{secret[1:]}</title>".encode(), secrets=(secret,))

    assert error_text(echoed) == "you sent ***"
    assert error_text(titled) == 'HTML page "no ***"'


def test_fractions_are_decimals():
    assert parse(answer(body=b'{"a": [1.10, 1e2, 7]}')) == {
        "a": [Decimal("1.10"), Decimal("1E+2"), 7]
    }
    assert str(parse(answer(body=b"1.10"))) == "1.10"


NO_MONEY = [b'{"a": NaN}', b"[-Infinity]", b"[" * 100_000]


@pytest.mark.parametrize("body", NO_MONEY)
def test_json_that_no_money_can_be_read_from_is_broken(body):
    with pytest.raises(errors.SchemaBroken):
        parse(answer(body=body))


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"sales": [', b'"\xff"', b"{} trailing"])
def test_a_body_that_is_no_json_is_a_fault_that_may_pass(body):
    with pytest.raises(errors.ServerFault):
        parse(answer(body=body))
