"""Every rule that comes from iFood names its source, and the source is there."""

import inspect
import re
from pathlib import Path

import pytest

from ifood_actors import feeds
from ifood_actors.feeds import (
    anticipations,
    blocks,
    calculation_periods,
    field_types,
    foreign,
    items,
    sales,
    settlements,
    storing,
)
from ifood_actors.ifood.http import answers
from ifood_actors.ifood.http.client import IfoodClient, MerchantApi

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ifood-api.md").read_text()
SECTIONS = set(re.findall(r"^## (\d+)\. ", PAGE, re.MULTILINE))

_SOURCE = re.compile(r"docs/ifood-api\.md, sections? (\d+)(?:(?: and | to |, )(\d+))?")

FOLLOWS_IFOOD = [
    IfoodClient.merchants,
    MerchantApi.get,
    answers.author_of,
    answers.raise_for_ifood,
    answers.error_text,
    answers.asked_pause,
    answers.rate_headers,
    answers.parse,
    items,
    field_types,
    settlements.SettlementTitle,
    anticipations.Anticipation,
    sales.Sale,
    sales.SalesPage,
    calculation_periods.CalculationEnvelope,
    items.envelopes,
    calculation_periods.calculation_items,
    blocks.read_blocks,
    calculation_periods.read_calculation_blocks,
    foreign,
    storing,
    *(feed.fetch for feed in feeds.FEEDS.values()),
]


@pytest.mark.parametrize("what", FOLLOWS_IFOOD, ids=lambda what: what.__name__)
def test_what_follows_ifood_gives_the_source_of_its_rules(what):
    assert _SOURCE.search(" ".join((inspect.getdoc(what) or "").split()))


@pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.py")), ids=lambda path: path.name)
def test_a_source_that_is_named_exists(path):
    named = {number for found in _SOURCE.findall(path.read_text()) for number in found if number}

    assert named <= SECTIONS


def test_each_fact_says_how_sure_it_is():
    facts = re.findall(r"^\* .+$", PAGE.split("\n## 6.")[0], re.MULTILINE)

    assert [fact for fact in facts if not re.search(r"\([A-E][ ,):]", fact)] == []
