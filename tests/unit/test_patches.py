"""A patch that changes nothing, or a mutant without its test, would show nothing."""

import inspect
import os
import subprocess
import sys

import pytest
from chaos.mutants import MUTANTS, PATCHES, TESTS
from patches import patches
from support.program import Program

NAMES = [
    name for name, _ in inspect.getmembers(patches, inspect.isfunction) if not name.startswith("_")
]
# Forks, since each patch wants a program that nobody has patched.
EACH = """
import os, sys, traceback
import patches
from ifood_actors.cli.main import app
for name in sys.argv[1:]:
    if not os.fork():
        try:
            getattr(patches, name)()
        except BaseException:
            print(name, traceback.format_exc())
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""


def test_every_patch_finds_what_it_changes():
    failed = subprocess.check_output(
        [sys.executable, "-c", EACH, *NAMES],
        env={**os.environ, "PYTHONPATH": str(PATCHES)},
        text=True,
    )

    assert failed == ""


def test_a_process_whose_patch_fails_does_not_run_without_it():
    environment = {**os.environ, "PYTHONPATH": str(PATCHES), "TEST_PATCH": "no_such_patch"}

    ended = subprocess.run(
        [sys.executable, "-c", "print('unpatched')"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (70, "")
    assert "no_such_patch" in ended.stderr


def test_a_mutant_is_one_in_every_process_of_a_test(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(PATCHES))
    monkeypatch.setenv("TEST_PATCH", "no_such_patch")

    assert Program(tmp_path)("--help").code == 70


@pytest.mark.parametrize(("patch", "test"), MUTANTS.items(), ids=list(MUTANTS))
def test_every_mutant_names_a_patch_and_a_test(patch, test):
    file, _, function = test.partition("::")

    assert patch in NAMES
    assert f"def {function.partition('[')[0]}" in (TESTS / file).read_text()
