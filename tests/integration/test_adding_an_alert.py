"""The diffs of docs/adding_an_alert.md, in a copy of the project, add the alert everywhere."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from support.rows import make_jobs, unwatched

pytestmark = pytest.mark.services

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "adding_an_alert.md").read_text()
PROBE = """
import json, os
from ifood_actors.alerts import evaluate
from ifood_actors.config import Settings
from ifood_actors.db import connect, transaction
from ifood_actors.web.collector import LedgerGauges
engine = connect(os.environ["URL"], application_name="probe")
read = {sample.name: sample.value for family in LedgerGauges(engine, Settings()).read()
        for sample in family.samples if sample.labels.get("kind") == "sales"}
with transaction(engine) as tx:
    texts = {alert.name: alert.text for alert in evaluate(tx, None, Settings()).firing}
print(json.dumps([read["ifood_jobs_retrying"], texts["JobsRetrying"]]))
"""


@pytest.fixture
def copy(tmp_path):
    for name in ("src", "docs", "infra", "scripts", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for diff in re.findall(r"^```diff\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        call(["git", "apply", "-"], tmp_path, given=diff)
    return tmp_path


def call(command, folder, *, given=None, **environment):
    done = subprocess.run(
        command,
        cwd=folder,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{folder / 'src'}{os.pathsep}{folder}", **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_guide_adds_an_alert(copy, engine, database_url):
    make_jobs(engine, 21)
    with unwatched(engine) as tx:
        tx.execute(text("UPDATE ifood_jobs SET attempts = 1"))

    call([sys.executable, "-m", "scripts.generate"], copy)
    told = json.loads(call([sys.executable, "-c", PROBE], copy, URL=database_url))
    rules = (copy / "infra/prometheus/rules.yml").read_text()
    tables = [(copy / "docs" / page).read_text() for page in ("metrics.md", "operations.md")]
    call([sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/unit/test_alerts.py"], copy)
    if shutil.which("promtool"):  # scripts/check installs it where it can
        call(["promtool", "test", "rules", "infra/prometheus/rules.test.yml"], copy)

    assert told == [21, "21 jobs wait for another attempt"]
    assert "alert: JobsRetrying\n        expr: |\n          ifood_jobs_retrying > 20\n" in rules
    assert "| `ifood_jobs_retrying` | `kind` | jobs that wait for another attempt |" in tables[0]
    assert "| [`JobsRetrying`](#many-jobs-are-tried-again) | more than 20 jobs" in tables[1]
