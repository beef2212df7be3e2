"""The example of docs/using_the_broker.md, run as it stands by Dramatiq's own command."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.clock import eventually

from ifood_actors.broker import queue_states, topology

pytestmark = pytest.mark.services

PAGE = Path(__file__).parents[2] / "docs/using_the_broker.md"


def test_the_example_of_the_manual_sends_runs_and_delays(tmp_path, broker_url):
    [example] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "my_project.py").write_text(example.replace("60_000", "2_000"))
    environment = {**os.environ, "BROKER_URL": broker_url}
    said = tmp_path / "said"

    subprocess.run([sys.executable, "my_project.py"], cwd=tmp_path, env=environment, check=True)
    held = queue_states(broker_url, topology.LEVEL_NAMES, connection_name="test")
    with said.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "dramatiq", "my_project", "--processes=1", "--threads=1"],
            cwd=tmp_path,
            env=environment,
            stderr=output,  # where the command writes what its workers print
        )
    try:
        eventually(lambda: _greetings(said) == ["hello now", "hello in a minute"])
    finally:
        worker.terminate()
        worker.wait()
    assert sum(level.ready for level in held) == 1


def _greetings(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if line.startswith("hello")]
