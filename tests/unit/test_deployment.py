"""compose.yaml, the image and the units: what they call exists, and what they may is little."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from time import time
from typing import Any

import pytest
import typer.main
import yaml
from typer.core import TyperGroup

from ifood_actors.cli.main import app
from ifood_actors.cli.work import config_page
from ifood_actors.embedded import docker
from ifood_actors.figures import RULES

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
COMPOSE = docker.COMPOSE_FILE.read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
OURS = {name: each for name, each in SERVICES.items() if each["image"] == "ifood-actors"}
WAITED = {
    on
    for each in SERVICES.values()
    for on, how in each.get("depends_on", {}).items()
    if how["condition"] == "service_completed_successfully"
}
PEOPLES = "admin"  # runs a command, while somebody waits for it
UNITS = sorted(INFRA.glob("systemd/*.service"))
PROMETHEUS = yaml.safe_load((INFRA / "prometheus/prometheus.yml").read_text())

_VARIABLE = re.compile(r"\$\{(\w+)(:[-+?])?([^}]*)\}")
every_service = pytest.mark.parametrize("name", SERVICES)
every_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)


def commands() -> dict[str, list[str]]:
    """Give the words of each command that containers and units start, by who does."""
    found = {}
    for name, service in OURS.items():
        given = service["command"]
        if service.get("entrypoint", ["sh"])[0] != "sh":  # not our program
            continue
        text = given if isinstance(given, str) else shlex.join(given)
        text = _VARIABLE.sub(lambda match: match[3], text)  # with what `:+` adds
        inside = re.search(r"\bexec ifood-actors ([^;']+)", text)
        found[name] = shlex.split(inside[1] if inside else text)
    for unit in UNITS:
        [line] = re.findall(r"^ExecStart=(.+)$", unit.read_text(), re.MULTILINE)
        program, *words = shlex.split(line)
        assert program == "/opt/ifood-actors/bin/ifood-actors"
        found[unit.stem] = words
    return found


def hardening(unit: Path) -> list[str]:
    """Give the lines after the blank one in `[Service]`, without remarks."""
    block = unit.read_text().split("KillMode=mixed\n")[1]
    return [line for line in block.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("words", commands().values(), ids=list(commands()))
def test_every_command_that_is_started_exists_with_its_options(words):
    command = typer.main.get_command(app)
    while isinstance(command, TyperGroup):
        command = command.commands[words.pop(0)]

    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_every_process_has_its_container_and_its_unit():
    started = {words[0] for words in commands().values()}

    assert started == {"doctor", "db", "scheduler", "worker", "web", "simulator"}
    assert {unit.stem for unit in UNITS} == {
        f"ifood-actors-{process}" for process in ("scheduler", "worker", "web")
    }


def test_every_setting_that_is_given_exists():
    known = set(re.findall(r"`(IFOOD_\w+)`", config_page.markdown()))
    files = [docker.COMPOSE_FILE, *INFRA.glob("docker/*"), *INFRA.glob("systemd/*")]
    given = {
        (path.name, name)
        for path in files
        for name in re.findall(r"\bIFOOD_[A-Z_]*[A-Z]\b", path.read_text())
    }

    assert {name for _, name in given} >= {"IFOOD_DATABASE_URL", "IFOOD_METRICS_DIR"}
    assert {(path, name) for path, name in given if name not in known} == set()


# --- compose.yaml -----------------------------------------------------------------------------


@every_service
def test_a_container_can_change_nothing_but_its_volumes(name):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"cap_add", "privileged", "pid", "devices"}
    assert service.get("network_mode") != "host"


@every_service
def test_a_container_starts_again_or_is_waited_for(name):
    ends = name in {*WAITED, PEOPLES}

    assert SERVICES[name]["restart"] == ("no" if ends else "unless-stopped")


@every_service
def test_a_port_is_open_on_loopback_only(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@every_service
def test_an_image_of_others_has_a_version(name):
    image, _, tag = SERVICES[name]["image"].partition(":")

    assert image == "ifood-actors" or re.match(r"v?\d", tag)


@pytest.mark.parametrize("name", OURS)
def test_one_service_builds_the_image_of_all_and_no_registry_is_asked_for_it(name):
    # Two that build one tag at the same time can fail.
    assert ("build" in OURS[name]) == (name == "settings")
    assert OURS[name]["pull_policy"] == "never"


def test_whoever_is_started_starts_what_builds_its_image():
    def started(name):
        on = SERVICES[name].get("depends_on", {})
        return {name}.union(*(started(each) for each in on))

    # The simulator is waited for by `settings`, so it cannot wait itself; its profile starts both.
    # A person's command does not begin with a migration.
    assert {name for name in OURS if "settings" not in started(name)} == {"simulator", PEOPLES}
    assert "simulator" in started("settings")
    assert not {*docker.SERVICES} & OURS.keys()


@every_service
def test_a_health_check_that_is_made_every_few_seconds_starts_no_interpreter(name):
    check = SERVICES[name].get("healthcheck", {"test": ["NONE"], "interval": "10s"})

    assert check["test"][1:2] in (["bash"], ["pg_isready"], ["wget"]) or check["interval"] == "10s"
    # The engine's own work for one look costs more than what most of them do.
    assert int(check["interval"].removesuffix("s")) >= 5
    # Compose refuses it where the engine is older than 25.
    assert "start_interval" not in check


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - WAITED - {PEOPLES}))
def test_a_container_that_goes_on_says_whether_it_works(name):
    # Only then `up --wait` fails for one that ends at its start, again and again.
    assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize(("age", "healthy"), [(0, True), (30, True), (130, False), (None, False)])
def test_the_scheduler_is_healthy_while_its_heartbeat_is_young(age, healthy, tmp_path):
    given = SERVICES["scheduler"]["environment"]["IFOOD_HEARTBEAT_FILE"]
    kind, *words = SERVICES["scheduler"]["healthcheck"]["test"]
    heartbeat = tmp_path / "heartbeat"
    if age is not None:
        heartbeat.touch()
        os.utime(heartbeat, (time() - age, time() - age))

    check = [word.replace(given, str(heartbeat)).replace("$$", "$") for word in words]

    assert kind == "CMD"
    assert str(heartbeat) in check[-1]
    ended = subprocess.run(check, check=False, capture_output=True).returncode
    assert (ended == 0) == healthy


@pytest.mark.parametrize("name", ["migrate", PEOPLES])
def test_whose_command_a_container_runs_is_passed_on_with_a_name_of_the_container(name):
    # Of whoever calls Compose, and not from `.env`: below `sudo`, USER is root.
    assert SERVICES[name]["environment"]["SUDO_USER"] == "${SUDO_USER:-${USER:-}}"
    assert SERVICES[name]["hostname"] == name


def test_the_settings_are_looked_at_before_anything_is_changed():
    assert SERVICES["settings"]["command"] == ["doctor", "--offline"]
    on = ["settings", "logins", "migrate", "grants"]
    assert [
        SERVICES[later]["depends_on"][first]
        for first, later in zip(on, [*on[1:], "scheduler"], strict=True)
    ] == [{"condition": "service_completed_successfully"}] * len(on)


@every_service
def test_what_a_container_is_given_from_the_project_is_there(name):
    volumes = [each for each in SERVICES[name].get("volumes", []) if isinstance(each, str)]
    mounted = [each.split(":")[0] for each in volumes]

    assert [path for path in mounted if path.startswith(".") and not (ROOT / path).exists()] == []


def test_a_password_has_no_default_and_the_two_servers_need_nothing_else():
    found = _VARIABLE.findall(COMPOSE)

    required = {name for name, mark, _ in found if mark == ":?"}
    assert required == {"POSTGRES_PASSWORD", "RABBITMQ_PASSWORD"}
    assert [name for name, mark, _ in found if "PASSWORD" in name and mark != ":?"] == []
    assert not any("PASSWORD" in text for _, mark, text in found if mark != ":?")
    assert not re.search(r"://[^/\s]*:[^/\s]*@", COMPOSE)  # no URL has one either
    assert all(
        not each.get("env_file") or each["env_file"] == [{"path": ".env", "required": False}]
        for each in SERVICES.values()
    )


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_is_given_the_time_to_stop(name):
    assert OURS[name]["stop_grace_period"] == "35s"


def test_prometheus_asks_containers_that_there_are():
    jobs = {job["job_name"]: job for job in PROMETHEUS["scrape_configs"]}
    [workers] = jobs["ifood-workers"]["dns_sd_configs"]
    hosts = {
        target.split(":")[0]
        for job in jobs.values()
        for each in job.get("static_configs", [])
        for target in each["targets"]
    }

    assert hosts - {"127.0.0.1"} <= SERVICES.keys()
    assert workers["names"] == ["worker"]
    assert str(workers["port"]) == SERVICES["worker"]["environment"]["IFOOD_METRICS_PORT"]
    assert SERVICES["gauges"]["network_mode"] == "service:prometheus"


def test_hosts_of_ones_own_are_asked_the_same():
    page = (ROOT / "docs/metrics.md").read_text()
    [example] = re.findall(r"^```yaml\n(scrape_configs:.+?)^```", page, re.MULTILINE | re.DOTALL)

    def asked(jobs):
        return {
            job["job_name"]: (job.get("metrics_path"), job.get("params"))
            for job in jobs
            if job["job_name"] not in {"prometheus", "alertmanager"}
        }

    assert asked(yaml.safe_load(example)["scrape_configs"]) == asked(PROMETHEUS["scrape_configs"])


def test_every_alert_of_prometheus_alone_leads_to_its_heading():
    rules = yaml.safe_load((INFRA / "prometheus/targets.yml").read_text())["groups"][0]["rules"]
    headings = re.findall(r"^### (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    leads = {f"docs/operations.md#{each.lower().replace(' ', '-')}" for each in headings}

    assert rules
    assert {rule["annotations"]["runbook"] for rule in rules} <= leads


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_the_links_in_alerts_lead_to_the_port_that_is_open(name):
    [port] = SERVICES[name]["ports"]
    [url] = [each for each in SERVICES[name]["command"] if each.startswith("--web.external-url=")]

    assert url == f"--web.external-url=http://{port.rpartition(':')[0]}/"


def test_another_token_file_makes_another_alertmanager():
    # A secret of compose is no part of what `up` compares; what is mounted is.
    mounted = [each for each in SERVICES["alertmanager"]["volumes"] if isinstance(each, dict)]

    assert [each["source"] for each in mounted] == ["${ALERTMANAGER_TOKEN_FILE:-/dev/null}"]
    assert "secrets" not in SERVICES["alertmanager"]


def test_the_simulator_is_called_what_its_certificate_is_for():
    [script] = SERVICES["simulator"]["command"]

    assert f"subjectAltName=DNS:{SERVICES['simulator']['hostname']} " in script


def test_alertmanager_silences_alerts_that_there_are():
    settings = yaml.safe_load((INFRA / "alertmanager/alertmanager.yml").read_text())
    named = {
        name
        for rule in settings["inhibit_rules"]
        for matcher in rule["source_matchers"] + rule["target_matchers"]
        for name in re.findall(r"\b[A-Z]\w+", matcher)
    }

    assert named
    assert named <= {rule.name for rule in RULES}


# --- systemd ----------------------------------------------------------------------------------


@every_unit
def test_every_unit_may_do_as_little_as_the_others(unit):
    assert hardening(unit) == hardening(UNITS[0])


@every_unit
def test_a_unit_waits_for_services_but_not_for_a_correction(unit):
    lines = unit.read_text().splitlines()

    assert "Restart=always" in lines
    assert "RestartPreventExitStatus=2" in lines
    assert "StartLimitIntervalSec=0" in lines
    assert "TimeoutStopSec=35" in lines


def test_the_example_of_the_settings_is_read_alike_by_systemd_and_by_the_shell():
    operations = (ROOT / "docs/operations.md").read_text()
    [example] = re.findall(
        r"^```sh\n(IFOOD_DATABASE_URL=.+?)^```", operations, re.MULTILINE | re.DOTALL
    )

    # To systemd, what stands behind a value is a part of it, remarks too.
    assert [
        line
        for line in example.splitlines()
        if not re.fullmatch(r"#.*|IFOOD_\w+=('[^']*'|[\w:/.@=-]*)", line)
    ] == []
