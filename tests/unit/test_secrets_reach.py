"""Which process is given which secret: no more than its code reads, whatever stands where."""

import re
from pathlib import Path

import grimp
import pytest
import yaml

from ifood_actors.config.loading import SECRETS, variable

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
SYSTEMD = ROOT / "infra/systemd"
SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"] == "ifood-actors"}

# Where each process starts, whatever it imports further down.
ENTRIES = {
    "scheduler": ["ifood_actors.scheduler.scheduler", "ifood_actors.cli.work.database"],
    "worker": ["ifood_actors.worker.startup"],
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
# Which login and which secrets of `.env` a container has; the URLs are files of its login.
CONTAINERS = {
    "settings": (None, {"encryption_keys", "alert_urls"}),  # looks whether they are right
    "migrate": ("migrator", set()),
    "scheduler": ("scheduler", {"encryption_keys", "alert_urls"}),
    "worker": ("worker", {"encryption_keys"}),
    "web": ("web", set()),
    "gauges": ("web", set()),
    "admin": ("admin", {"encryption_keys", "alert_urls", "client_secret"}),
    "logins": (None, set()),
    "grants": (None, set()),
    "simulator": (None, set()),
}
RUNS = {"migrate": "db", "gauges": "web"}


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


def test_every_container_is_in_the_table():
    assert OURS.keys() == CONTAINERS.keys()


@pytest.mark.parametrize("service", CONTAINERS)
def test_a_container_is_given_those_secrets_of_the_file_that_it_reads_and_blanks_for_others(
    service,
):
    given = OURS[service]["environment"]
    names = [variable(name) + end for name in SECRETS for end in ("", "_FILE")]
    names += ["POSTGRES_PASSWORD", "RABBITMQ_PASSWORD"]

    taken = {name for name in names if given.get(name) == f"${{{name}-}}"}
    assert taken == {variable(name) for name in CONTAINERS[service][1]}
    if not OURS[service]["env_file"]:  # nothing of it comes along by itself
        return
    assert {name for name in names if name not in given} == set()
    others = {name: given[name] for name in names if name not in taken and given[name]}
    without_password = r"/run/login/\w+|\w+://ifood_scheduler@[\w/]+"
    assert {
        name for name, text in others.items() if not re.fullmatch(without_password, text)
    } == set()


@pytest.mark.parametrize("service", [name for name, (login, _) in CONTAINERS.items() if login])
def test_a_container_has_its_own_login_and_no_other(service):
    login, _ = CONTAINERS[service]
    mounted = [each for each in OURS[service]["volumes"] if "/run/login" in each]

    assert mounted == [f"{login}:/run/login:ro"]


@pytest.mark.parametrize("service", ["migrate", "scheduler", "worker", "web", "gauges"])
def test_a_container_reads_what_its_process_reads(service):
    process = RUNS.get(service, service)
    urls = {"database_url", "broker_url"}

    assert CONTAINERS[service][1] == READ[process] - urls
    assert {
        name for name in urls if OURS[service]["environment"][f"{variable(name)}_FILE"]
    } == READ[process] & urls


def test_two_containers_know_the_administrators_and_end_before_the_others_start():
    knowing = {
        name for name, each in OURS.items() if "PASSWORD:?" in str(each.get("environment", {}))
    }

    assert knowing == {"logins", "grants"}
    assert {OURS[name]["restart"] for name in knowing} == {"no"}


def test_the_manual_has_the_same_table_of_containers():
    page = (ROOT / "docs/operations.md").read_text()
    rows = re.findall(r"^\| ((?:`\w+`,? ?)+)(?:, .+)? \| `(\w+)`.* \| (.+) \|$", page, re.MULTILINE)
    told = {
        name: (role, set(re.findall(r"`(IFOOD_\w+)`", secrets)))
        for names, role, secrets in rows
        for name in re.findall(r"`(\w+)`", names)
        if role.startswith("ifood_") and name in CONTAINERS
    }

    assert told == {
        name: (f"ifood_{login}", {variable(secret) for secret in secrets})
        for name, (login, secrets) in CONTAINERS.items()
        if login
    }


def test_the_manual_has_the_same_table_of_files():
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
