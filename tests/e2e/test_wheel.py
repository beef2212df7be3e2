"""The wheel alone, in an empty environment, on a Postgres that it brings itself."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ifood_actors.embedded import PrivatePostgres

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

PRINT_POSTGRES = "from ifood_actors.embedded.postgres import *; print(wheel_programs())"
NOWHERE = "amqp://nobody:nothing@127.0.0.1:1/"

Run = Callable[..., str]


@pytest.fixture(scope="module")
def uv() -> str:
    return shutil.which("uv") or pytest.skip("uv is on nobody's PATH; scripts/test puts it there")


@pytest.fixture(scope="module")
def folder(uv: str, tmp_path_factory) -> Path:
    """A folder with nothing in it but the wheel, in `dist`, and the versions that are locked."""
    folder: Path = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([uv, "build", "--quiet", "--wheel", "-o", folder / "dist", ROOT], check=True)
    locked = [uv, "export", "--quiet", "--frozen", "--no-emit-project", "--no-hashes"]
    subprocess.run([*locked, "-o", folder / "locked.txt"], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Run:
    """Run a program of the machine in that folder, without anything of this project's `.venv`."""

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def programs(uv: str, folder: Path, run: Run) -> Path:
    """Install the wheel by itself; give the folder of its programs."""
    run(uv, "venv", "--quiet", "empty")
    run(uv, "pip", "install", "--quiet", "--python", "empty", *(folder / "dist").glob("*.whl"))
    return folder / "empty" / "bin"


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """The machine's environment, in which uv takes the versions that are locked."""
    hidden = ("IFOOD_", "PYTHON", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    version = ".".join(map(str, sys.version_info[:2]))
    return {**kept, "UV_CONSTRAINT": str(folder / "locked.txt"), "UV_PYTHON": version, **settings}


def test_the_line_of_the_readme_runs_the_demo(run):
    [line] = re.findall(r"^uvx .*$", README, re.MULTILINE)

    said = run(*line.split(), "--accounts", "5", "--seconds", "2", "--json")

    assert [kind["differing"] for kind in json.loads(said)["kinds"]] == [[], [], []]
    assert json.loads(said)["problems"] == []


def test_it_migrates_and_serves_on_the_postgres_that_it_brings(programs, folder, run):
    brought = run(programs / "python", "-c", PRINT_POSTGRES).strip()
    assert Path(brought).is_relative_to(folder)
    with PrivatePostgres(Path(brought), durable=False) as postgres:
        known = environment(folder, IFOOD_DATABASE_URL=postgres.url, IFOOD_BROKER_URL=NOWHERE)

        def call(*arguments: str) -> str:
            command = [programs / "ifood-actors", *arguments]
            return subprocess.check_output(command, cwd=folder, env=known, text=True)

        upgraded = call("db", "upgrade", "--json")
        call("db", "check")
        with serving(programs / "ifood-actors", "web", "--port", "0", env=known) as url:
            health = fetch(f"{url}/healthz")
    with serving(programs / "ifood-actors", "simulator", "--port", "0", env=known) as url:
        state = json.loads(fetch(f"{url}/_simulator/state"))

    assert json.loads(upgraded)["applied"]
    assert health
    assert state["merchants"] == 100


def test_the_example_of_the_page_on_testing_runs(programs, run):
    page = (ROOT / "docs" / "testing.md").read_text()
    example = page.partition("```python\n")[2].partition("```")[0]

    run(programs / "python", "-c", example)


def test_each_extra_is_told():
    told = dict(re.findall(r"^\| `(\w+)` \| ([^,]*), for", README, re.MULTILINE))

    brought = {name: wanted for name, wanted in PROJECT["optional-dependencies"].items() if wanted}
    assert told.keys() == brought.keys()
    for name, wanted in brought.items():
        assert told[name].split(" and ") == [each.partition(">")[0] for each in wanted]


@contextmanager
def serving(*command: str | Path, env: dict[str, str]) -> Iterator[str]:
    """Run a server until the block ends, and insist on a clean end; give the URL that it names."""
    with subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout
            [url] = re.findall(r"http://[\d.:]+", process.stdout.readline())
            yield url
        finally:
            process.terminate()
            process.communicate()
    assert process.returncode == 0


def fetch(url: str) -> Any:
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - http to loopback
        return answer.read()
