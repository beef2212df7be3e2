"""Write what is generated from figures and states: `python -m scripts.generate`."""

import re
from pathlib import Path

from ifood_actors.ledger.states import diagram
from scripts.generate.rendering import GENERATED, generated

_DIAGRAM = re.compile(r"(?<=```mermaid\n)stateDiagram-v2.*?(?=\n```)", re.DOTALL)


def main(root: Path = Path()) -> None:
    for name in GENERATED:
        path = root / name
        path.write_text(generated(name, path.read_text()))
    architecture = root / "docs" / "architecture.md"
    architecture.write_text(_DIAGRAM.sub(lambda _: diagram(), architecture.read_text()))


if __name__ == "__main__":
    main()
