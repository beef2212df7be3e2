"""docs/metrics.md says what is exported: names, types and labels."""

import re
from pathlib import Path

from prometheus_client import Counter, Histogram

from ifood_actors import metrics
from ifood_actors.figures import gauges
from ifood_actors.web import collector

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
WEB, WORKERS = PAGE.split("## From each worker host")

_ROW = re.compile(r"^\| `(ifood_\w+)` \| ([^|:]*)", re.MULTILINE)


def documented(text):
    return {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in _ROW.findall(text)}


def test_every_gauge_is_told_with_its_labels():
    exported = {name: each.labels for each in gauges.ALL for name in each.meanings}

    assert documented(WEB) == {**exported, collector.LEDGER_UP: ()}


def test_what_is_read_every_minute_stands_in_the_table_that_says_so():
    quick, slow = WEB.split("| gauge, read every minute |")

    for each in gauges.ALL:
        assert each.meanings.keys() <= documented(slow if each.every else quick).keys()


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
