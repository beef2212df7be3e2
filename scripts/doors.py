"""
A contract for import-linter: what is inside a package is imported through its door.

The door is the package's `__init__`. What its `__all__` names may be imported from outside, be it a
value or, where importing it there would cost too much, a module.
"""

import ast
from pathlib import Path

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class Doors(Contract):
    """`packages` are those that have a door; those inside them have one for their siblings."""

    type_name = "doors"

    packages = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: ARG002, FBT001
        broken = [
            f"{importer} imports {imported} in line {details['line_number']}, not named by {door}"
            for door in self.packages  # type: ignore[attr-defined] # a field is its value here
            for imported in graph.find_descendants(door)
            if not self._is_named(imported, door=door)
            for importer in graph.find_modules_that_directly_import(imported)
            if importer != door and not importer.startswith(f"{door}.")
            for details in graph.get_import_details(importer=importer, imported=imported)
        ]
        return ContractCheck(kept=not broken, metadata={"broken": sorted(broken)})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for line in check.metadata["broken"]:
            output.print_error(line, bold=False)

    @staticmethod
    def _is_named(module: str, *, door: str) -> bool:
        return module.removeprefix(f"{door}.").split(".")[0] in _named_by(door)


def _named_by(package: str) -> set[str]:
    tree = ast.parse(Path("src", *package.split("."), "__init__.py").read_text())
    lists = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(name, ast.Name) and name.id == "__all__" for name in node.targets)
    ]
    return {name for each in lists for name in ast.literal_eval(each)}
