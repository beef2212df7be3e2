"""No command of the documents and scripts holds a password, which `ps` and a history would show."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SCRIPTS = [path for path in sorted((ROOT / "scripts").iterdir()) if path.is_file()]
BLOCKS = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(
    r"`((?:docker|psql|pg_\w+|createdb|dropdb|curl|rabbitmqctl|ifood-actors) [^`]+)`"
)
WITH_PASSWORD = re.compile(r"[a-z+]+://[^\s/@:'\"]*:[^\s@'\"]+@")
EXPORT = re.compile(r"^\s*export ([A-Z_]+)=(\S+)", re.MULTILINE)
ALONE = re.compile(r"\s*[A-Z_]+=\S+\s*")  # a line of a file of settings
SHOWN = [
    WITH_PASSWORD,
    re.compile(r"\s-e\s*[A-Z_]*(?:PASS\w*|_URLS?|_KEYS|SECRET)="),
    re.compile(r"\s(?:--password[= ]\S|-u \S+:\S)"),
    re.compile(r"change_password \S+ [^#\s]"),
    # Which `ps` does not show, but the history of the shell.
    re.compile(r"\b(?:PGPASSWORD|IFOOD_(?:DATABASE_URL|BROKER_URL|\w+_KEYS|\w+_SECRET))=\S+ +\S"),
]


def commands(path: Path) -> list[str]:
    text = path.read_text()
    if path.suffix != ".md":
        return [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    blocks = [line for block in BLOCKS.findall(text) for line in block.splitlines()]
    return [line.partition(" #")[0] for line in blocks] + INLINE.findall(text)


@pytest.mark.parametrize("path", [*PAGES, *SCRIPTS], ids=lambda path: path.name)
def test_no_command_of_the_manual_holds_a_password(path):
    exported = EXPORT.findall("\n".join(commands(path)))
    secret = [name for name, value in exported if WITH_PASSWORD.search(value)]
    for line in commands(path):
        if EXPORT.match(line) or ALONE.fullmatch(line):
            continue
        assert not [pattern.pattern for pattern in SHOWN if pattern.search(line)], line
        assert not [name for name in secret if re.search(rf"\$\{{?{name}\b", line)], line
