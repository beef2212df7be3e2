"""Query parameters as the API reads them: each refusal is one that clients met."""

from collections.abc import Mapping
from datetime import date

from ifood_simulator.answers import Refusal, bad_request

Pair = tuple[str, str]
Span = tuple[date, date]


def one_pair_of(pairs: tuple[Pair, ...], query: Mapping[str, str]) -> tuple[int, Span]:
    """
    The pair of dates that was sent, as its place in `pairs` and its days.

    Raises Refusal (400, with the right names) unless exactly one pair is there, and complete.
    """
    sent = [name for pair in pairs for name in pair if name in query]
    for place, pair in enumerate(pairs):
        if sorted(sent) == sorted(pair):
            return place, span_of(pair, query)
    names = " or ".join(f"{begin} and {end}" for begin, end in pairs)
    details = tuple(name for pair in pairs for name in pair)
    raise Refusal(bad_request(f"Required parameters: {names}", details=details))


def span_of(pair: Pair, query: Mapping[str, str]) -> Span:
    """The days of the pair; raises Refusal (400) when one is missing, no date, or out of order."""
    begin, end = (_date(name, query) for name in pair)
    if begin > end:
        raise Refusal(bad_request(f"{pair[0]} must not be after {pair[1]}", name=pair[0]))
    return begin, end


def whole_number(name: str, query: Mapping[str, str], default: int) -> int:
    """A whole number of the query; raises Refusal (400) when it is none."""
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit():
        raise Refusal(bad_request(f"Invalid {name}", name=name))
    return int(text)


def length(span: Span) -> int:
    """Days from first to last, both counted."""
    return (span[1] - span[0]).days + 1


def _date(name: str, query: Mapping[str, str]) -> date:
    if name not in query:
        raise Refusal(bad_request("Missing required parameter", name=name))
    text = query[name]
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or text != day.isoformat():
        raise Refusal(bad_request("Invalid date, use yyyy-MM-dd", name=name))
    return day
