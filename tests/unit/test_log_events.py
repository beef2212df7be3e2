"""Every event that the program logs is explained in docs/operations.md, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ifood_actors.logs import FAILED

ROOT = Path(__file__).parents[2]
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
# Not by a logger: the last words of a handler. And what is a sentence, by the contract.
BESIDE, SENTENCES = {"log.unwritable"}, {"run.line"}


def files() -> Iterator[ast.Module]:
    for path in (ROOT / "src/ifood_actors").rglob("*.py"):
        yield ast.parse(path.read_text())


def is_logger(node: ast.expr) -> bool:
    called = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("get_logger")
    return called or (isinstance(node, ast.Name) and node.id == "log")


def texts(node: ast.AST) -> set[str]:
    found = {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}
    return {each for each in found if isinstance(each, str)}


def named(module: ast.Module, name: str) -> set[str]:
    """Give the texts of a constant, or the first ones that a function is called with."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            found |= texts(node.value)
        if isinstance(node, ast.FunctionDef) and name in {each.arg for each in node.args.args}:
            calls = [each for each in ast.walk(module) if isinstance(each, ast.Call)]
            found |= {
                text
                for call in calls
                if ast.unparse(call.func).split(".")[-1] == node.name and call.args
                for text in texts(call.args[0])
            }
    return found


def events_of(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr not in LEVELS or not is_logger(node.func.value):
            continue
        [event, *_] = node.args
        match event:
            case ast.Constant(value=str() as text):
                yield text
            case ast.Attribute(attr="FAILED"):
                yield FAILED
            case ast.Subscript(value=ast.Name(id=name)) | ast.Name(id=name):
                assert named(module, name), f"where does {name} come from?"
                yield from named(module, name)
            case _:
                assert ast.unparse(event) in SENTENCES


def test_the_manual_explains_every_event_that_is_logged():
    logged = {event for module in files() for event in events_of(module)} | BESIDE
    page = (ROOT / "docs/operations.md").read_text()
    section = page.partition("\n## Log events\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+`) \| [^|]+ \| [^|]+ \| [^|]+ \|$", section, re.MULTILINE)

    assert [name for row in rows for name in re.findall(r"`([^`]+)`", row)] == sorted(logged)
    assert {name for name in logged if not re.fullmatch(r"[a-z_]+\.[a-z_]+", name)} == set()
