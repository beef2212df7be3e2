"""What docs/using_the_broker.md says of the package, without a RabbitMQ."""

import inspect
import re
from datetime import timedelta
from pathlib import Path

from dramatiq.brokers.rabbitmq import RabbitmqBroker

from ifood_actors import broker
from ifood_actors.broker import LadderBroker, NotTaken, QueueState, topology
from ifood_actors.broker.consumer import BODY_MAX
from ifood_actors.broker.publishing import MOST_CONNECTIONS

PAGE = (Path(__file__).parents[2] / "docs/using_the_broker.md").read_text()


def test_every_public_name_is_described_and_nothing_else():
    own = {
        name
        for name, value in vars(LadderBroker).items()
        if not name.startswith("_") and inspect.isfunction(value)
    }
    new = own - set(dir(RabbitmqBroker))

    offered = {line.split("`")[1].split("(")[0] for line in _rows("What it offers")}
    assert offered == {*broker.__all__, *new}


def test_every_option_is_named():
    options = [*inspect.signature(LadderBroker).parameters][1:]

    assert [name for name in options if f"{name}=" not in _rows("What it offers")[0]] == []


def test_what_it_says_of_a_part_is_there():
    parts = {
        "QueueState": QueueState("q", 0, 0),
        "NotTaken": NotTaken([], ValueError("full")),
        "topology": topology,
    }
    for name, part in parts.items():
        [row] = [row for row in _rows("What it offers") if row.startswith(f"| `{name}`")]
        named = re.findall(r"`(\w+)(?:\([^`]*\))?`", row)[1:]

        assert named
        assert [each for each in named if not hasattr(part, each)] == []


def test_its_figures_are_those_of_the_code():
    reach = topology.REACH - timedelta(seconds=3)

    assert "at most 4 h 33 min" in PAGE
    assert reach == timedelta(hours=4, minutes=33)
    assert f"at most {BODY_MAX // 1024} KiB" in PAGE
    assert MOST_CONNECTIONS == 8  # "over eight connections"


def _rows(heading: str) -> list[str]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]
