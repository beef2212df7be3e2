"""How each kind of data is read from iFood and stored: a file for each, named as its resource."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from ifood_actors.feeds.complete_pulls import as_seen_last
from ifood_actors.feeds.feed import Feed
from ifood_actors.feeds.record_retention import forget_raw, forget_rejected_items, forget_versions
from ifood_actors.feeds.records import Fetched, Origin, Record
from ifood_actors.feeds.rejected import rejected_items
from ifood_actors.kinds import KINDS, Kind


def _feed_of(kind: Kind) -> Feed:
    module = import_module(f"{__name__}.{kind.resource.replace('-', '_')}")
    feed: Feed = module.FEED
    return feed


FEEDS: Mapping[str, Feed] = MappingProxyType({name: _feed_of(kind) for name, kind in KINDS.items()})

__all__ = [
    "FEEDS",
    "Feed",
    "Fetched",
    "Origin",
    "Record",
    "as_seen_last",
    "forget_raw",
    "forget_rejected_items",
    "forget_versions",
    "rejected_items",
]
