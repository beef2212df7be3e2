"""A command reads and prints; its work is imported when it is called, so that `--help` is fast."""

import ast
from pathlib import Path

import pytest

from ifood_actors.cli.options import Status
from ifood_actors.ledger import JobStatus

CLI = Path(__file__).parents[2] / "src/ifood_actors/cli"
# What is not a command: how a command ends, and tables for a terminal.
NO_COMMANDS = {"main.py", "options.py", "output.py"}
COMMANDS = sorted(path for path in CLI.glob("*.py") if path.name not in NO_COMMANDS)


def imported_inside(path):
    """Give the modules that each function imports, rich's aside."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            inside = [each for each in ast.walk(node) if isinstance(each, ast.ImportFrom)]
            modules = [name for name in map(ast.unparse, inside) if "from rich" not in name]
            found |= {node.name: modules} if modules else {}
    return found


def test_an_option_knows_each_status_of_a_job():
    assert [each.value for each in Status] == [each.value for each in JobStatus]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_a_command_imports_its_work_and_nothing_else(path):
    inside = imported_inside(path)

    assert {len(modules) for modules in inside.values()} <= {1}
    for modules in inside.values():
        assert modules[0].startswith(("from ifood_actors.cli.work ", "from ifood_actors.demo "))


@pytest.mark.parametrize("path", sorted((CLI / "work").glob("*.py")), ids=lambda path: path.name)
def test_the_work_of_a_command_imports_at_the_top(path):
    inside = imported_inside(path)

    # A format's package may be missing.
    assert set(inside) <= ({"_writer"} if path.name == "exports.py" else set())
