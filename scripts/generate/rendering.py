"""
What is generated from the figures: Prometheus's rules, and the tables of the manual.

`python -m scripts.generate` writes them; a test compares them with what is in the repository.
"""

import json
import re
from collections.abc import Iterable, Iterator
from textwrap import indent

from prometheus_client import Counter, Histogram

from ifood_actors import metrics
from ifood_actors.config import Settings
from ifood_actors.figures import FIGURES, LEDGER_UP, RULES, AlertRule, Figure
from ifood_actors.figures.figure import Unit, shown
from ifood_actors.notation import format_duration

# The files, each with what replaces the text between the two marks of that name.
RULES_FILE = "infra/prometheus/rules.yml"
METRICS_PAGE = "docs/metrics.md"
MANUAL_PAGE = "docs/operations.md"

_VALUE: dict[Unit, str] = {
    "count": "{{ $value }}",
    "seconds": "{{ $value | humanizeDuration }}",
    "share": "{{ $value | humanizePercentage }}",
    "bytes": "{{ $value | humanize1024 }}B",
}
_HEAD = """\
# The alerts of `ifood-actors`, for those who have a Prometheus: generated from the rules that the
# scheduler evaluates (src/ifood_actors/figures) by `python -m scripts.generate`; change them there.
# SchedulerSilent is here about all hosts together, there about each as well. The limits are the
# defaults of IFOOD_ALERT_*: if you change one, change the number in a copy of this file too.
#
#   promtool check rules rules.yml; promtool test rules rules.test.yml
#
# `ifood-actors web` exports the metrics `ifood_*` but for `ifood_requests_total` and
# `ifood_wasted_requests_total`, which the workers count. Those of RabbitMQ come from its plugin, at
# /metrics/detailed?family=queue_coarse_metrics&family=queue_consumer_count
groups:
  - name: ifood-actors
    rules:
"""


def prometheus_rules(rules: Iterable[AlertRule] = RULES) -> str:
    """Give `rules.yml` as a whole."""
    return _HEAD + "".join(map(_prometheus_rule, rules))


def generated(path: str, text: str) -> str:
    """Give what the file `path` has to hold, which holds `text` now."""
    if path == RULES_FILE:
        return prometheus_rules()
    for name, table in _TABLES[path].items():
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->\n"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{table()}\n{end}{after}"
    return text


def _prometheus_rule(rule: AlertRule) -> str:
    waits = {"for": rule.wait, "keep_firing_for": rule.calm}
    lines = [
        f"- alert: {rule.name}",
        "  expr: |",
        indent(_expression(rule), "    "),
        *(f"  {name}: {format_duration(wait)}" for name, wait in waits.items() if wait),
        f"  labels: {{ severity: {rule.severity} }}",
        "  annotations:",
        f"    summary: {json.dumps(_summary(rule), ensure_ascii=False)}",
        f"    runbook: {rule.manual}",
    ]
    return indent("\n".join(lines), "      ") + "\n"


def _expression(rule: AlertRule) -> str:
    limit = f"{rule.limit(Settings()):.12g}"
    if "{limit}" in rule.promql:
        return rule.promql.replace("{limit}", limit)
    if re.search(r" [<>]=? \d+$", rule.promql):
        return rule.promql
    return f"{rule.promql} {rule.comparison} {limit}"


def _summary(rule: AlertRule) -> str:
    text = (rule.summary or rule.says).replace("{number}", _VALUE[rule.unit])
    return re.sub(r"(?<!\{)\{(\w+)\}(?!\})", r"{{ $labels.\1 }}", text)


def _gauges(figures: Iterable[Figure]) -> Iterator[tuple[str, ...]]:
    yield ("gauge", "labels", "meaning")
    for figure in figures:
        labels = ", ".join(
            f"`{label}`" + (": " + ", ".join(f"`{value}`" for value in values) if values else "")
            for label, values in figure.query.labels.items()
        )
        yield (f"`{figure.name}`", labels, figure.meaning)


def _often() -> str:
    name, meaning = LEDGER_UP
    head, *rows = _gauges(figure for figure in FIGURES if not figure.query.every)
    return _table([head, (f"`{name}`", "", meaning), *rows])


def _seldom() -> str:
    head, *rows = _gauges(figure for figure in FIGURES if figure.query.every)
    return _table([(f"{head[0]}, read every minute", *head[1:]), *rows])


def _counts() -> str:
    rows: list[tuple[str, ...]] = [("metric", "labels", "of what")]
    for each in vars(metrics).values():
        if isinstance(each, Counter | Histogram):
            name = each._name + ("_total" if isinstance(each, Counter) else "")  # noqa: SLF001 - no other way
            labels = ", ".join(f"`{label}`" for label in each._labelnames)  # noqa: SLF001 - the same
            rows.append((f"`{name}`", labels, f"{each._type} of {each._documentation}"))  # noqa: SLF001 - the same
    return _table(rows)


def _alerts() -> str:
    rows: list[tuple[str, ...]] = [("alert", "fires when", "for", "ends after")]
    for rule in RULES:
        when = rule.when.replace("{limit}", shown(rule.limit(Settings()), rule.unit))
        anchor = rule.manual.partition("#")[2]
        waits = (format_duration(wait) if wait else "at once" for wait in (rule.wait, rule.calm))
        rows.append((f"[`{rule.name}`](#{anchor})", when, *waits))
    return _table(rows)


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    head, *body = rows
    lines = [head, ("---",) * len(head), *body]
    return "".join("| " + " | ".join(cells).replace("|  |", "| |") + " |\n" for cells in lines)


_TABLES = {
    METRICS_PAGE: {"gauges": _often, "gauges-every-minute": _seldom, "counts": _counts},
    MANUAL_PAGE: {"alerts": _alerts},
}
GENERATED = (RULES_FILE, *_TABLES)
