"""Bodies as they come: undone by one gzip at most, and never beyond the limit."""

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ifood_actors.ifood.http.decoding import Undecodable, decoded

MOST = 1_000_000
BOMB = gzip.compress(b"\0" * 200_000_000)


def cut(body: bytes, size: int) -> Iterator[bytes]:
    return (body[first : first + size] for first in range(0, len(body), size))


@given(st.lists(st.binary()), st.integers(1, 50))
def test_members_of_gzip_are_one_body_however_they_are_cut(parts, size):
    body = b"".join(map(gzip.compress, parts)) or gzip.compress(b"")

    assert decoded(cut(body, size), "gzip", most=MOST) == b"".join(parts)


@pytest.mark.parametrize("encoding", ["", "identity", " Identity , ", ",", "identity, identity"])
def test_a_body_without_a_coding_is_given_as_it_is(encoding):
    assert decoded([b"[", b"1]"], encoding, most=MOST) == b"[1]"


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", " gzip ,", "identity, gzip"])
def test_one_gzip_is_undone(encoding):
    assert decoded([gzip.compress(b"[1]")], encoding, most=MOST) == b"[1]"


@pytest.mark.parametrize(
    "encoding",
    [
        "gzip, gzip",
        "gzip,identity,x-gzip",
        "gzip," * 100,
        "deflate, gzip",
        "deflate",
        "br",
        "zstd",
        "compress",
        "aws-chunked",
        "gzip;q=1",
        "\uff47zip",
    ],
)
def test_no_other_coding_is_undone_and_none_on_top_of_another(encoding):
    def untouched() -> Iterator[bytes]:
        raise AssertionError
        yield b""

    with pytest.raises(Undecodable, match="another way"):
        decoded(untouched(), encoding, most=MOST)


@pytest.mark.parametrize("size", [1_000, len(BOMB)])
@pytest.mark.parametrize("body", [BOMB, BOMB[:30_000], BOMB * 3], ids=["whole", "cut", "members"])
def test_a_bomb_is_given_up_within_the_limit(body, size):
    tracemalloc.start()
    try:
        with pytest.raises(Undecodable, match="larger than"):
            decoded(cut(body, size), "gzip", most=MOST)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 3 * MOST


def test_members_that_hold_nothing_end_as_well():
    endless = (gzip.compress(b"") * 100 for _ in range(10**9))

    with pytest.raises(Undecodable, match="larger than"):
        decoded(endless, "gzip", most=MOST)


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"[1]", mtime=0)[:-1],
        gzip.compress(b"[1]", mtime=0) + b"\0",
        gzip.compress(b"[1]", mtime=0) + b"garbage",
        zlib.compress(b"[1]"),
        b"[1]",
    ],
)
def test_what_is_no_whole_gzip_is_refused(body):
    with pytest.raises(Undecodable, match="gzip"):
        decoded([body], "gzip", most=MOST)


@pytest.mark.parametrize("chunks", [[], [b""]])
def test_no_body_is_none_whatever_it_says_of_itself(chunks):
    assert decoded(chunks, "gzip", most=MOST) == b""
