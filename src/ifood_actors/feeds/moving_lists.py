"""Reading a paged list that may move while it is read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ifood_actors.errors import SchemaBroken
from ifood_actors.feeds.records import OddItem, Row

# 20,000 items in a block of a week: no store has them, an endless list does.
MOST_PAGES: Final = 200


@dataclass(frozen=True, slots=True)
class ListPage:
    """
    The items of one page by their ids, those that cannot be read included.

    `counts` is all that its envelopes say of the list's length, to be compared between pages;
    `announced` is how many pages there are, as far as it says, else 0. `announces_items` is True
    when it says that the list has items.
    """

    items: dict[str, Row | OddItem]
    counts: list[object]
    announced: int
    announces_items: bool


@dataclass(frozen=True, slots=True)
class ListReading:
    """
    The items of a list by their ids, those that cannot be read included.

    `complete` is False when some may have slipped past; `announces_only` is True of a list that
    counts items and shows none.
    """

    items: dict[str, Row | OddItem]
    complete: bool
    announces_only: bool


def read_list(read: Callable[[int], ListPage], *, name: str, days: int) -> ListReading:
    """
    Read a list of up to `days` days by `read`, which gives a page by its number, from 1 on.

    It is read once more if it moved meanwhile. An item that leaves a page already read pulls
    another one over from the next page, unseen. What either reading brought is kept; nothing can
    have slipped past when the second one stood still and brought all that the first did. Raises
    SchemaBroken when both show none of the items that they announce, and for an endless list: to
    cut it silently would lose items.
    """
    first = _read_pages(read, name=name, days=days)
    if first.complete and not first.announces_only:
        return first
    second = _read_pages(read, name=name, days=days)
    if first.announces_only and second.announces_only:
        raise SchemaBroken(f"{name}: page 1 announces {name} and shows none, twice in a row")
    complete = second.complete and first.items.keys() <= second.items.keys()
    return ListReading(first.items | second.items, complete, announces_only=False)


def _read_pages(read: Callable[[int], ListPage], *, name: str, days: int) -> ListReading:
    """
    Read page after page to the end of the list.

    The list stood still when every page announced the same counts and the last page announced
    was the last. Against the items given the counts are not checked: they are wrong at times.
    A page that brings nothing new ends the list, because some answer every page with the first.
    """
    items: dict[str, Row | OddItem] = {}
    counts: list[object] = []
    announced = 0
    for number in range(1, MOST_PAGES + 1):
        page = read(number)
        counts += page.counts
        announced = page.announced or announced
        known = len(items)
        # An item that moved to a later page while the list was read is newer there.
        items |= page.items
        if len(items) == known or 0 < announced <= number:
            stood_still = all(count == counts[0] for count in counts)
            announces_only = not items and page.announces_items
            return ListReading(items, stood_still and number >= announced, announces_only)
        if announced > MOST_PAGES:
            break
    raise SchemaBroken(f"{name}: more than {MOST_PAGES} pages in {days} days")
