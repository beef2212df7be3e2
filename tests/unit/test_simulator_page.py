"""docs/simulator.md names every switch that there is, and none that is not."""

import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from ifood_actors.cli.simulator import simulator
from ifood_simulator import fault_of, fault_rates_of, limits_of
from ifood_simulator.control import routes
from ifood_simulator.endpoints import RESOURCES
from ifood_simulator.faults import Fault, FaultName, ResponseShape
from ifood_simulator.merchants import EmptyFace
from ifood_simulator.settings import GROUPS, FaultRates

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()
_CURL = re.compile(r'^curl -s (?:-X (\w+) )?"?\$url/([\w./-]+)', re.MULTILINE)


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_cells(title: str) -> list[str]:
    cells = re.findall(r"^\| (`.*?`) \|", section(title), re.MULTILINE)
    return [word for cell in cells for word in re.findall(r"`(.+?)`", cell)]


def test_the_table_of_faults_is_complete():
    assert first_cells("Faults") == list(get_args(FaultName))


def test_the_table_of_faces_is_complete():
    assert set(first_cells("Faces of nothing")) == set(get_args(EmptyFace))


@pytest.mark.parametrize(
    "words",
    [[each.name for each in fields(Fault)], ResponseShape.__annotations__, RESOURCES],
)
def test_every_field_trait_and_resource_is_told(words):
    told = set(re.findall(r"[`.](\w+)`?", section("Faults")))

    assert set(words) - {"name"} <= told


def test_the_table_of_options_is_complete():
    options = {f"--{name.replace('_', '-')}" for name in simulator.__annotations__}

    assert set(first_cells("Options")) == options - {"--return"}


@pytest.mark.parametrize("words", [FaultRates.__dataclass_fields__, GROUPS])
def test_every_rate_and_group_is_told(words):
    assert [word for word in words if f"`{word}`" not in section("Options")] == []


def test_each_control_endpoint_has_its_line():
    shown = {(verb or "GET", path) for verb, path in _CURL.findall(section("Control"))}

    there = {
        (verb, route.path.removeprefix("/_simulator/"))
        for route in routes()
        for verb in (route.methods or set()) - {"HEAD"}
    }
    truths = {("GET", "truth/sales"), ("GET", "truth-summary/settlements")}
    assert shown - truths == {each for each in there if "{kind}" not in each[1]}
    assert truths <= shown


def test_the_switches_of_the_examples_can_be_read():
    words = re.findall(r"--(quirk|limit|faults) ([^\s`]+)", PAGE)
    read = {
        "quirk": fault_of,
        "faults": fault_rates_of,
        "limit": lambda word: limits_of([word]),
    }

    assert [read[option](word) for option, word in words]
