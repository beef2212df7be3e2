"""What is generated from the figures is in the repository, and docs/metrics.md has all of it."""

import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Histogram

from ifood_actors import metrics
from ifood_actors.figures import FIGURES, LEDGER_UP
from scripts.generate import rendering

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text()
WEB, WORKERS = PAGE.split("## From each worker host")

_ROW = re.compile(r"^\| `(ifood_\w+)` \| ([^|:]*)", re.MULTILINE)


def documented(text):
    return {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in _ROW.findall(text)}


@pytest.mark.parametrize("name", rendering.GENERATED)
def test_what_is_generated_is_what_the_figures_say(name):
    text = (ROOT / name).read_text()

    assert rendering.generated(name, text) == text, "stale: run `python -m scripts.generate`"


def test_every_gauge_is_told_with_its_labels():
    exported = {each.name: tuple(each.query.labels) for each in FIGURES}

    assert documented(WEB) == {**exported, LEDGER_UP[0]: ()}


def test_what_is_read_every_minute_stands_in_the_table_that_says_so():
    quick, slow = WEB.split("| gauge, read every minute |")

    for each in FIGURES:
        assert each.name in documented(slow if each.query.every else quick)


def test_everything_that_workers_count_is_told_with_its_labels():
    found = [each for each in vars(metrics).values() if isinstance(each, Counter | Histogram)]
    suffix = {Counter: "_total", Histogram: ""}
    counted = {each._name + suffix[type(each)]: each._labelnames for each in found}

    assert documented(WORKERS) == counted


def test_every_type_is_told():
    for each in vars(metrics).values():
        if isinstance(each, Counter | Histogram):
            told = rf"^\| `{each._name}(_total)?` \|[^|]*\| {each._type} "
            assert re.search(told, WORKERS, re.MULTILINE), each._name


def test_no_label_has_a_value_for_each_account_or_job():
    labels = {label for names in documented(PAGE).values() for label in names}

    assert labels == {"kind", "status", "state", "app", "group", "endpoint", "outcome", "host"}
