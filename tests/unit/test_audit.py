"""scripts/audit: a vulnerability fails, in CI it warns; what cannot be found out is only said."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[2] / "scripts" / "audit" / "__main__.py"
CLEAN = {"name": "httpx", "version": "1.0", "vulns": []}
SILENT = {"name": "mine", "skip_reason": "not found"}
VULNERABLE = {
    "name": "urllib3",
    "version": "1.26.4",
    "vulns": [{"id": "PYSEC-2021-108", "fix_versions": ["1.26.5"]}],
}


@pytest.fixture
def audit(tmp_path):
    """Run the script with a pip-audit that prints `out` and `err`."""

    def audit(packages=None, *, err="", **environment):
        out = "" if packages is None else json.dumps({"dependencies": packages})
        program(tmp_path / "uv", "")
        program(tmp_path / "pip-audit", f"print({out!r}); print({err!r}, file=sys.stderr)")
        return subprocess.run(
            [sys.executable, AUDIT],
            env={
                "PATH": f"{tmp_path}:{os.defpath}",
                "XDG_CACHE_HOME": str(tmp_path),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    return audit


def program(path: Path, code: str) -> None:
    # By a shell: the path of an interpreter after #! may hold no space and not be long.
    command = shlex.join([sys.executable, "-c", f"import sys\n{code}"])
    path.write_text(f"#!/bin/sh\nexec {command}\n")
    path.chmod(0o755)


def test_a_vulnerability_fails_and_is_named_with_its_remedy(audit):
    done = audit([CLEAN, VULNERABLE])

    assert done.returncode == 1
    assert done.stdout == "urllib3 1.26.4: PYSEC-2021-108, mended in 1.26.5\n"


def test_in_ci_a_vulnerability_is_reported_and_fails_nothing(audit):
    done = audit([CLEAN, VULNERABLE], CI="true")

    assert done.returncode == 0
    assert done.stdout == "urllib3 1.26.4: PYSEC-2021-108, mended in 1.26.5\n"
    assert done.stderr.startswith("audit WARNING: ")


def test_a_vulnerability_is_asked_for_again(audit):
    assert [audit([VULNERABLE]).returncode for _ in range(2)] == [1, 1]


def test_a_good_answer_holds_for_a_day(audit):
    first, second = audit([CLEAN, SILENT]), audit([VULNERABLE])

    line = "audit: no known vulnerability in 1 packages, and nothing is told of 1"
    assert (first.returncode, first.stderr) == (0, f"{line}\n")
    assert (second.returncode, second.stderr) == (0, f"{line} (asked less than a day ago)\n")


def test_a_registry_that_tells_nothing_is_no_good_news(audit):
    assert audit([SILENT]).stderr == "audit skipped: the registry tells nothing of 1 packages\n"


def test_without_a_network_it_is_skipped_and_asked_again(audit):
    away = audit(err="Traceback\nConnectionError: no route")

    assert (away.returncode, away.stdout) == (0, "")
    assert away.stderr == "audit skipped: ConnectionError: no route\n"
    assert audit([VULNERABLE]).returncode == 1
