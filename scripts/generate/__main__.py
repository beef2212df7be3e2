"""Write what is generated from the figures: `python -m scripts.generate`."""

from pathlib import Path

from ifood_actors.figures.rendering import GENERATED, generated


def main(root: Path = Path()) -> None:
    for name in GENERATED:
        path = root / name
        path.write_text(generated(name, path.read_text()))


if __name__ == "__main__":
    main()
