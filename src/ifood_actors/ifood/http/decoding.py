"""
The one content coding that we ask for, undone within a limit.

A library would undo all codings that the answer names, one on top of the other, and all of a
read at once: `gzip, gzip` turns 16 KiB into gigabytes. Here a coding is undone once, step by step.
"""

import zlib
from collections.abc import Iterable, Iterator

ASKED_FOR = "gzip"  # what a request names in Accept-Encoding
_GZIP = {ASKED_FOR, "x-gzip"}  # two names of one coding: RFC 9110, 8.4.1.3
_STEP = 64 * 1024  # bytes that are made at once
_GZIP_FORMAT = 31  # for zlib: the widest window, with the head of gzip


class Undecodable(Exception):
    """The body of an answer cannot be read within the limits; its text says why."""


def decoded(chunks: Iterable[bytes], encoding: str, *, most: int) -> bytes:
    """
    Return the body that `chunks` carry, by their Content-Encoding, of at most `most` bytes.

    Several members of gzip are one body. Raises Undecodable for any other coding, for more than
    one, and for a body that is too large, before or after it was decoded.
    """
    named = [coding.strip().lower() for coding in encoding.split(",")]
    codings = [coding for coding in named if coding not in {"", "identity"}]
    if not codings:
        return b"".join(_bounded(chunks, most))
    if len(codings) > 1 or codings[0] not in _GZIP:
        raise Undecodable("the answer is coded in another way than by one gzip")
    try:
        return b"".join(_bounded(_gunzipped(_bounded(chunks, most)), most))
    except zlib.error:
        raise Undecodable("the answer is no gzip, as it says") from None


def _bounded(chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
    length = 0
    for chunk in chunks:
        length += len(chunk)
        if length > most:
            raise Undecodable(f"the answer is larger than {most} bytes")
        yield chunk


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    member = None  # an answer without a body, such as a 204, may still name the coding
    for chunk in chunks:
        rest = chunk
        while rest:
            if member is None or member.eof:
                member = zlib.decompressobj(_GZIP_FORMAT)
            yield member.decompress(rest, _STEP)
            rest = member.unconsumed_tail or member.unused_data
    if member is not None:
        yield member.flush()  # the little that the last step left over
        if not member.eof:
            raise Undecodable("the answer's gzip has no end")
