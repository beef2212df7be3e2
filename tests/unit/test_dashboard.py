"""Grafana's dashboard and Prometheus's rules ask for what is exported, and for all of it."""

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import Counter, Histogram

from ifood_actors import metrics
from ifood_actors.figures import FIGURES, LEDGER_UP

INFRA = Path(__file__).parents[2] / "infra"
DASHBOARD = json.loads((INFRA / "grafana/dashboards/ifood-actors.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ASKED = [  # for what, and how it is told
    (target["expr"], target["legendFormat"]) for panel in PANELS for target in panel["targets"]
]
RULES = [
    (rule["expr"], rule["annotations"]["summary"])
    for path in sorted(INFRA.glob("prometheus/*.yml"))
    for group in yaml.safe_load(path.read_text()).get("groups", [])
    for rule in group["rules"]
]

_ANY = {"job", "instance"}
_TAILS: dict[type, tuple[str, ...]] = {
    Counter: ("_total",),
    Histogram: ("_bucket", "_count", "_sum"),
}
# From RabbitMQ's plugin, and from Prometheus itself.
OTHERS = {
    "rabbitmq_detailed_queue_consumers": {"queue", "vhost"},
    "rabbitmq_detailed_queue_messages_ready": {"queue", "vhost"},
    "rabbitmq_detailed_queue_messages_unacked": {"queue", "vhost"},
    "rabbitmq_disk_space_available_bytes": set(),
    "rabbitmq_disk_space_available_limit_bytes": set(),
    "rabbitmq_process_resident_memory_bytes": set(),
    "rabbitmq_resident_memory_limit_bytes": set(),
    "ALERTS": {"alertname", "alertstate"},
    "up": set(),
}


def exported() -> dict[str, set[str]]:
    """Give the labels of every series of ours."""
    found = {each.name: set(each.query.labels) for each in FIGURES}
    found[LEDGER_UP[0]] = set()
    for each in vars(metrics).values():
        if isinstance(each, Counter | Histogram):
            labels = {*each._labelnames, *(["le"] if isinstance(each, Histogram) else [])}
            found |= {f"{each._name}{tail}": labels for tail in _TAILS[type(each)]}
    return found


def selectors(expression: str) -> list[Any]:
    """Parse it as Prometheus does, with Grafana's variables filled in."""
    text = expression.replace("$__rate_interval", "5m").replace("$kind", ".+")
    found: list[Any] = []

    def note(part: Any) -> bool:
        if isinstance(part, promql_parser.VectorSelector):
            found.append(part)
        return True

    promql_parser.walk(promql_parser.parse(text), note)
    return found


@pytest.mark.parametrize(("expression", "words"), [*ASKED, *RULES])
def test_what_is_asked_for_exists_with_its_labels(expression, words):
    known = exported() | OTHERS
    asked = selectors(expression)

    assert asked
    assert [each.name for each in asked if each.name not in known] == []
    for each in asked:
        named = {matcher.name for matcher in each.matchers.matchers}
        assert named <= known[each.name] | _ANY, each.name
    labels = set().union(*(known[each.name] for each in asked)) | _ANY
    assert set(re.findall(r"\{\{ *(?:\$labels\.)?(\w+) *\}\}", words)) <= labels


def test_everything_that_is_exported_is_shown():
    shown = {each.name for expression, _ in ASKED for each in selectors(expression)}
    of_one = re.compile(r"_(bucket|count|sum)$")

    assert {of_one.sub("", name) for name in exported()} <= {of_one.sub("", n) for n in shown}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_and_asks_the_chosen_prometheus(panel):
    chosen = {"type": "prometheus", "uid": "${datasource}"}

    assert panel["description"].endswith(".")
    assert panel["type"] == "table" or panel["fieldConfig"]["defaults"]["unit"]
    assert [panel["datasource"], *(each["datasource"] for each in panel["targets"])] == [
        chosen for _ in range(len(panel["targets"]) + 1)
    ]


def test_no_panel_covers_another():
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


def test_grafana_finds_the_dashboard_and_its_prometheus():
    provider = yaml.safe_load((INFRA / "grafana/dashboards/provider.yml").read_text())
    [source] = yaml.safe_load((INFRA / "grafana/datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    asked = yaml.safe_load((INFRA / "prometheus/prometheus.yml").read_text())

    assert provider["providers"][0]["options"]["path"] == "/etc/grafana/provisioning/dashboards"
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == asked["global"]["scrape_interval"]
