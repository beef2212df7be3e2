"""Reading a period in blocks that iFood can answer."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import TypeVar

from ifood_actors.errors import ServerFault
from ifood_actors.spans import Period

T = TypeVar("T")


def read_blocks(
    read: Callable[[Period], T], period: Period, *, largest: int, smallest: int
) -> Iterator[T]:
    """
    Read `period` in blocks of at most `largest` days, oldest first; give what `read` makes of each.

    iFood may fail at a long span and answer its halves (docs/ifood-api.md, section 2). So a block
    that is answered by 5xx is halved, and halved again, while its halves have at least `smallest`
    days. Raises what `read` raises.
    """
    for block in period.blocks(largest):
        yield from _read(read, block, smallest=smallest)


def _read(read: Callable[[Period], T], block: Period, *, smallest: int) -> list[T]:
    try:
        return [read(block)]
    except ServerFault as fault:
        # Without a status it is trouble on the way, which a shorter span would meet as well.
        is_5xx = (fault.status or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR
        if not is_5xx or block.days // 2 < smallest:
            raise
    halves = block.blocks(-(-block.days // 2))
    return [part for half in halves for part in _read(read, half, smallest=smallest)]
