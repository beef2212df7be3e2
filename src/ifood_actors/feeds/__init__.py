"""The kinds of data that are pulled. A new kind is one file here, one line below, one migration."""

from collections.abc import Mapping
from types import MappingProxyType

from ifood_actors.feeds.anticipations import ANTICIPATIONS
from ifood_actors.feeds.feed import Feed
from ifood_actors.feeds.records import Fetched, Record, RecordVersion, Stored
from ifood_actors.feeds.sales import SALES
from ifood_actors.feeds.settlements import SETTLEMENTS

FEEDS: Mapping[str, Feed] = MappingProxyType(
    {feed.kind: feed for feed in (SETTLEMENTS, ANTICIPATIONS, SALES)}
)

__all__ = ["FEEDS", "Feed", "Fetched", "Record", "RecordVersion", "Stored"]
