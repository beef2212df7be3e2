"""Which process is given which secret: no more than its code reads, whatever stands where."""

import re
from pathlib import Path

import grimp
import pytest

from ifood_actors.config.reading import SECRETS, variable

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
SYSTEMD = ROOT / "infra/systemd"

# Where each process starts, whatever it imports further down.
ENTRIES = {
    "scheduler": ["ifood_actors.scheduler.main", "ifood_actors.cli.database"],
    "worker": ["ifood_actors.worker"],
    "web": ["ifood_actors.cli.web"],
    "db": ["ifood_actors.cli.db"],
}
MODULES = grimp.build_graph("ifood_actors")
# The table itself, in words: a process that comes to read more must be looked at by a person.
READ = {
    "scheduler": {"database_url", "broker_url", "encryption_keys", "alert_urls"},
    "worker": {"database_url", "broker_url", "encryption_keys"},
    "web": {"database_url", "broker_url"},
    "db": {"database_url"},
}
UNITS = sorted(READ.keys() - {"db"})


def read_by(process: str) -> set[str]:
    """Give the secrets that some module of a process asks the settings for."""
    entries = ENTRIES[process]
    modules = {*entries}.union(*map(MODULES.find_upstream_modules, entries))
    paths = [SOURCE / module.replace(".", "/") for module in modules if ".config" not in module]
    files = [path / "__init__.py" if path.is_dir() else path.with_suffix(".py") for path in paths]
    text = "\n".join(path.read_text() for path in files)
    return {
        name for name in SECRETS if re.search(rf"(settings\.|require_|reveal_|read_){name}\b", text)
    }


def lines(process: str, name: str) -> list[str]:
    unit = (SYSTEMD / f"ifood-actors-{process}.service").read_text()
    return re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)


@pytest.mark.parametrize("process", READ)
def test_the_table_is_what_each_process_reads(process):
    assert read_by(process) == READ[process]


@pytest.mark.parametrize("process", UNITS)
def test_a_unit_is_kept_from_every_secret_that_its_process_does_not_read(process):
    kept_from = set(" ".join(lines(process, "UnsetEnvironment")).split())

    unread = {variable(name) for name in SECRETS if name not in READ[process]}
    assert kept_from == unread | {f"{name}_FILE" for name in unread}


@pytest.mark.parametrize("process", UNITS)
def test_a_unit_needs_a_file_of_its_own_beside_the_one_without_secrets(process):
    own = f"/etc/ifood-actors/{process}"

    assert lines(process, "EnvironmentFile") == ["/etc/ifood-actors/environment", own]
    assert lines(process, "AssertPathExists") == [own]  # whose name `systemctl start` then tells


def test_no_unit_can_look_into_another():
    # Whoever has the same user reads all of /proc/PID/environ.
    users = [lines(process, "User") for process in UNITS]

    assert users == [[f"ifood-actors-{process}"] for process in UNITS]


def test_the_manual_has_the_same_table():
    page = (ROOT / "docs/operations.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| .+? \| (the URLs? .+) \|$", page, re.MULTILINE))
    asked = {process: set(re.findall(r"`(IFOOD_\w+)`", rows[process])) for process in READ}

    urls = {"database_url", "broker_url"}
    assert asked == {process: {*map(variable, READ[process] - urls)} for process in READ}
    assert {process: re.findall("`(ifood_[a-z]+)`", rows[process]) for process in READ} == {
        "scheduler": ["ifood_scheduler"],
        "worker": ["ifood_worker"],
        "web": ["ifood_web"],
        "db": ["ifood_migrator"],
    }
