"""One name, one thing: no module and no class of the package has the name of another."""

import ast
import tomllib
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "src" / "ifood_actors"
FILES = [path for path in PACKAGE.rglob("*.py") if "versions" not in path.parts]


def twice(named: list[tuple[str, Path]]) -> dict[str, list[str]]:
    places = defaultdict(list)
    for name, path in named:
        places[name].append(str(path.relative_to(PACKAGE)))
    return {name: found for name, found in places.items() if len(found) > 1}


# A folder and the module of it that has its name are one thing: `ledger/ledger.py`.
def test_a_module_has_its_name_for_itself():
    """But for the files of `cli/`, which are named as their commands."""
    modules = [
        (path.parent if path.name == "__init__.py" else path)
        for path in FILES
        if "cli" not in path.parts and path.stem != path.parent.name
    ]

    assert twice([(path.stem, path) for path in modules if path != PACKAGE]) == {}


def test_a_class_has_its_name_for_itself():
    classes = [
        (node.name.strip("_"), path)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    choices = [
        (node.targets[0].id, path)
        for path in FILES
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and ast.unparse(node.value).startswith("Literal[")
    ]

    assert twice(classes + choices) == {}


def test_every_package_has_its_door_watched():
    contracts = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text())
    [doors] = [
        each for each in contracts["tool"]["importlinter"]["contracts"] if each["type"] == "doors"
    ]
    packages = {
        ".".join(path.parent.relative_to(PACKAGE.parent).parts)
        for path in FILES
        if path.name == "__init__.py" and path.parent != PACKAGE
    }

    assert packages <= set(doors["packages"])
