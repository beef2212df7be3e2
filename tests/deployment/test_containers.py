"""
The manual's container part, line by line, on an engine, with 20 accounts.

The tests tell one story, in their order: each goes on from what the one before has left.
"""

import os
import re
import subprocess
import sys

import pytest
from deployment.site import ROOT, typed
from deployment.terminal import UNSEEN
from eventually import eventually

pytestmark = pytest.mark.timeout(900)

ACCOUNTS = 20
_AT_THE_DRILL = (
    "docker compose exec -e IFOOD_DATABASE_URL=postgresql://postgres:...@postgres/drill "
    "scheduler ifood-actors"
)
_CHANGE_PASSWORD = (
    "read -rs && printf '%s\\n' \"$REPLY\" | "
    "docker compose exec -T rabbitmq rabbitmqctl change_password ifood_worker"
)
_MINUTES = 180
_ACCOUNTS_CSV = (
    "docker compose exec -T scheduler python -c 'import ssl, urllib.request as r;"
    ' print(r.urlopen("https://simulator:8443/_simulator/accounts.csv",'
    ' context=ssl.create_default_context(cafile="/simulator/certificate.pem")).read().decode())\''
)
UP = typed("docker compose up --detach --wait --build")


def succeeded(site):
    return sum(run["success"] for run in site.status()["runs"])


def test_one_line_builds_migrates_and_starts_everything(running):
    states = running.states()

    assert (states.pop("settings"), states.pop("migrate")) == (("exited", 0), ("exited", 0))
    assert set(states) == {"postgres", "rabbitmq", "scheduler", "worker", "web", "simulator"}
    assert {state for state, _ in states.values()} == {"running"}


def test_twenty_accounts_are_pulled(running):
    running.done(typed("echo simulated-secret | docker compose exec -T scheduler ifood-actors"))
    sheet = running.done(_ACCOUNTS_CSV).splitlines(keepends=True)[: ACCOUNTS + 1]
    (running.folder / "accounts.csv").write_text("".join(sheet))
    running.done(typed("docker compose exec -T scheduler ifood-actors accounts import"))
    planned = running.on_a_terminal(typed("docker compose exec scheduler ifood-actors plan"))

    assert planned.code == 0, planned
    eventually(lambda: succeeded(running) == ACCOUNTS, within=_MINUTES)
    running.done(typed("docker compose exec -T web ifood-actors export"))
    assert (running.folder / "march.csv").read_text().startswith("account_id,")
    running.done(typed("docker compose exec -T web sh -c"))
    assert (running.folder / "march.xlsx").read_bytes().startswith(b"PK")


def test_doctor_finds_nothing_to_mend(running):
    said = running.on_a_terminal(typed("docker compose exec scheduler ifood-actors doctor"))

    assert said.code == 0, said
    assert "failed" not in said.out
    assert "tls" not in said.out  # between containers nobody can follow that advice


def test_every_line_of_the_processes_log_is_an_event(running):
    running.done("docker compose kill --signal KILL worker && docker compose up --detach --wait")

    said = running.done("docker compose logs --no-log-prefix scheduler worker web")
    lines = [line.removeprefix("\x1b[2K") for line in said.splitlines()]  # compose adds it
    assert [line for line in lines if not line.startswith("{")] == []


def test_definitions_are_imported_and_a_password_is_changed_unseen(running):
    run = typed("docker compose exec -T rabbitmq rabbitmqctl import_definitions")
    imported = running(run, within=60)  # it waited for ever, on some versions
    changed = running.on_a_terminal(typed(_CHANGE_PASSWORD), (UNSEEN, "unseen123"))

    assert imported.code == 0, imported
    assert changed.code == 0, changed
    assert "unseen123" not in changed.out
    running.done(
        "docker compose exec -T rabbitmq rabbitmqctl authenticate_user ifood_worker unseen123"
    )


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("IFOOD_ALERT_URLS", "Apprise does not know"),
        ("IFOOD_ENCRYPTION_KEYS", "expected Fernet keys"),
    ],
)
def test_up_fails_for_a_setting_that_a_process_would_end_for(running, setting, said):
    former = (running.folder / ".env").read_text()
    running.settings(**{setting: "nosuch://x"})

    failed = running(UP, within=_MINUTES)

    assert failed.code != 0
    assert said in running.done("docker compose logs settings")
    (running.folder / ".env").write_text(former)
    running.done(UP)


@pytest.mark.parametrize("service", ["scheduler", "worker", "web"])
def test_up_fails_for_a_process_that_ends_at_its_start(running, service):
    # What no look at the settings can know.
    running.override({service: {"command": [service, "--nonsense"]}})

    failed = running(UP, within=_MINUTES)

    assert failed.code != 0
    running.override({})
    running.done(UP)


def test_another_token_reaches_alertmanager_as_the_manual_says(running, image_of):
    image_of("alertmanager")
    names = ["token", "another"]
    for name in names:
        (running.folder / name).write_text(f"{name}\n")
        (running.folder / name).chmod(0o644)
        running.settings(ALERTMANAGER_TOKEN_FILE=f"./{name}")
        running.done("docker compose up --detach --wait alertmanager")
        assert running.done(_TOKEN) == f"{name}\n"

    (running.folder / "another").write_text("written into it\n")
    assert running.done(_TOKEN) == "written into it\n"

    (running.folder / "token").replace(running.folder / "another")
    running.done("docker compose restart alertmanager")
    assert running.done(_TOKEN) == "token\n"


_TOKEN = "docker compose exec -T alertmanager cat /run/secrets/alertmanager_token"


@pytest.mark.parametrize("service", ["prometheus", "alertmanager", "grafana"])
def test_what_watches_becomes_healthy(running, image_of, service):
    image_of(service)

    running.done(f"docker compose up --detach --wait {service}")


def test_a_backup_is_practised_in_the_containers(running):
    running.done(typed("docker compose exec -T postgres pg_dump"))
    for beginning in (
        "docker compose exec postgres createdb --username postgres drill",
        "docker compose exec -T postgres pg_restore",
        f"{_AT_THE_DRILL} db check",
        f"{_AT_THE_DRILL} secrets check",
        "docker compose exec postgres dropdb",
    ):
        line = typed(beginning).replace("...", running.password)
        done = running(line) if " -T " in line else running.on_a_terminal(line)
        assert done.code == 0, (line, done)


def test_the_tests_of_the_backup_pass_with_the_server_of_the_containers(running):
    # Of their own: the processes in the containers would take their orders.
    running.done("docker compose exec -T rabbitmq rabbitmqctl add_vhost tests")
    rights = "--vhost tests ifood '.*' '.*' '.*'"
    running.done(f"docker compose exec -T rabbitmq rabbitmqctl set_permissions {rights}")
    written = (running.folder / ".env").read_text()
    ports = dict(re.findall(r"^(\w+)_PORT='(\d+)'", written, re.MULTILINE))
    servers = {
        "TEST_DATABASE_URL": f"postgresql://postgres:{running.password}@127.0.0.1:"
        f"{ports['POSTGRES']}/postgres",
        "TEST_BROKER_URL": f"amqp://ifood:{running.password}@127.0.0.1:{ports['RABBITMQ']}/tests",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "tests/integration/test_backup.py"]

    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **servers},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_everything_stops_with_0_and_what_is_old_is_thrown_away(running):
    running.done("docker compose restart worker")
    running.done("docker compose up --detach --wait")  # a process is told to stop once it can be
    running.done("docker compose stop")

    codes = {service: code for service, (_, code) in running.states().items()}
    assert codes == dict.fromkeys(codes, 0)
    running.done(typed("docker image prune"))


# --- logins of their own ----------------------------------------------------------------------

_ROLES = ("migrator", "scheduler", "worker", "web", "admin")
_SERVICES = {"migrate": "migrator", "scheduler": "scheduler", "worker": "worker", "web": "web"}


def test_with_logins_of_their_own_the_same_accounts_are_pulled(running):
    running.done("docker compose down --volumes")
    running.override(
        {
            service: {
                "environment": {
                    "IFOOD_DATABASE_URL": f"postgresql://ifood_{role}:{_of(role)}@postgres/postgres",
                    **(
                        {"IFOOD_BROKER_URL": f"amqp://ifood_{role}:{_of(role)}@rabbitmq/ifood"}
                        if role != "migrator"
                        else {}
                    ),
                }
            }
            for service, role in _SERVICES.items()
        }
    )

    running.done(typed("docker compose up --detach --wait postgres rabbitmq"))
    roles = typed("docker compose exec -T postgres psql --set ON_ERROR_STOP=1")
    running.done(roles)
    for role in _ROLES:
        line = typed(
            "docker compose exec postgres psql --username postgres --command '\\password i"
        )
        asked = running.on_a_terminal(
            line.replace("ifood_migrator", f"ifood_{role}"),
            ("Enter new password", _of(role)),
            ("Enter it again", _of(role)),
        )
        assert asked.code == 0, asked
        assert _of(role) not in asked.out
    running.done(typed("docker compose exec -T rabbitmq rabbitmqctl import_definitions"))
    for role in ("scheduler", "worker", "web"):
        line = typed(_CHANGE_PASSWORD)
        running.done(line.replace("ifood_worker", f"ifood_{role}"), f"{_of(role)}\n")
    running.done(typed("docker compose build"))
    running.done(typed("docker compose run --rm migrate"))
    running.done(roles)
    running.done("docker compose up --detach --wait")

    admin = f"-e IFOOD_DATABASE_URL=postgresql://ifood_admin:{_of('admin')}@postgres/postgres"
    added = typed("echo simulated-secret | docker compose exec -T scheduler ifood-actors")
    running.done(added.replace("exec -T", f"exec -T {admin}"))
    imported = typed("docker compose exec -T -e IFOOD_DATABASE_URL=postgresql://ifood_admin:...")
    running.done(imported.replace("...", _of("admin")))
    running.done(f"docker compose exec -T {admin} scheduler ifood-actors plan sales --over 20s")
    eventually(lambda: succeeded(running) == ACCOUNTS, within=_MINUTES)
    assert running.on_a_terminal(typed("docker compose exec web ifood-actors status")).code == 0


def _of(role):
    return f"{role}-of-the-test"
