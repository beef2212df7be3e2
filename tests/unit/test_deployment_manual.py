"""What the manual has people type for containers and units exists, and shows no secret."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
TEXT = "\n".join(page.read_text() for page in PAGES)
OPERATIONS = (ROOT / "docs/operations.md").read_text()
COMPOSE = (ROOT / "compose.yaml").read_text()

_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`\n]+)`")
LINES = [line for block in _BLOCK.findall(TEXT) for line in block.splitlines()]
TYPED = [*LINES, *_CODE.findall(TEXT)]
VERBS = {
    "cat",
    "daemon-reload",
    "disable",
    "enable",
    "list-units",
    "restart",
    "start",
    "status",
    "stop",
}


def test_definitions_come_from_a_file_since_some_versions_never_see_the_end_of_stdin():
    imports = [line for line in LINES if "import_definitions" in line]

    assert imports
    assert [line for line in imports if "import_definitions /dev/stdin <" not in line] == []


def test_every_verb_of_systemctl_is_one():
    called = [line.partition("systemctl ")[2].split() for line in TYPED if "systemctl " in line]
    verbs = {next(word for word in words if not word.startswith("-")) for words in called}

    assert verbs <= VERBS


def test_no_password_is_shown_while_it_is_typed():
    # rabbitmqctl asks for it with the echo on.
    asking = [line for line in LINES if "change_password" in line]

    assert asking
    assert [
        line for line in asking if not line.startswith("read -rs && printf '%s\\n' \"$REPLY\" | ")
    ] == []


@pytest.mark.parametrize(
    ("name", "default"), sorted(set(re.findall(r"\$\{(\w+)(?::-([^}]*))?", COMPOSE)))
)
def test_what_may_be_set_for_the_containers_is_in_the_manual(name, default):
    written = f"{name}={default}" if name.endswith("_PORT") else name

    assert f"`{written}" in OPERATIONS or f"\n{written}=" in OPERATIONS
