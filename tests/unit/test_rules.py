"""Rules of the project that no linter knows."""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "ifood_actors"
FILES = sorted(path for path in SOURCE.rglob("*.py") if "versions" not in path.parts)
LEDGER = re.compile(
    r"(INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(ifood_jobs|ifood_runs|ifood_job_events)\b"
)


def named(path):
    return str(path.relative_to(SOURCE))


def functions(path):
    tree = ast.parse(path.read_text())
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def length(function):
    """Count the lines of a function without its docstring."""
    body = function.body
    if ast.get_docstring(function) and len(body) > 1:
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_has_at_most_300_lines(path):
    assert len(path.read_text().splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_function_has_at_most_60_lines(path):
    assert {each.name: length(each) for each in functions(path) if length(each) > 60} == {}


@pytest.mark.parametrize("path", FILES, ids=named)
def test_only_the_configuration_reads_the_environment(path):
    allowed = "config" in path.relative_to(SOURCE).parts

    assert allowed or not re.search(r"\bos\.(environ|getenv)\b", path.read_text())


@pytest.mark.parametrize("path", FILES, ids=named)
def test_no_python_that_is_started_takes_modules_from_the_current_folder(path):
    started = re.findall(r"sys\.executable,\s*(\S+)", path.read_text())

    assert [first for first in started if first not in {'"-P",', "command)"}] == []


@pytest.mark.parametrize("path", FILES, ids=named)
def test_only_the_ledger_writes_its_tables(path):
    allowed = path.relative_to(SOURCE).parts[0] in {"ledger", "migrations"}

    assert allowed or not LEDGER.search(path.read_text())


@pytest.mark.parametrize("path", FILES, ids=named)
def test_every_module_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text()))
