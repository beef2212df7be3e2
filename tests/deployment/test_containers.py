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
from support.clock import eventually

pytestmark = pytest.mark.timeout(900)

ACCOUNTS = 20
_AT_THE_DRILL = "docker compose run --rm -e PGDATABASE=drill admin"
_CHANGE_PASSWORD = (
    "read -rs && printf '%s\\n' \"$REPLY\" | "
    "docker compose exec -T rabbitmq rabbitmqctl change_password ifood_operator"
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

    ended = {states.pop(name) for name in ("settings", "logins", "migrate", "grants")}
    assert ended == {("exited", 0)}
    assert set(states) == {"postgres", "rabbitmq", "scheduler", "worker", "web", "simulator"}
    assert {state for state, _ in states.values()} == {"running"}


def test_twenty_accounts_are_pulled(running):
    running.done(typed("echo simulated-secret | docker compose run --rm -T admin apps add"))
    sheet = running.done(_ACCOUNTS_CSV).splitlines(keepends=True)[: ACCOUNTS + 1]
    (running.folder / "accounts.csv").write_text("".join(sheet))
    running.done(typed("docker compose run --rm -T admin accounts import"))
    planned = running.on_a_terminal(typed("docker compose run --rm admin plan"))

    assert planned.code == 0, planned
    eventually(lambda: succeeded(running) == ACCOUNTS, within=_MINUTES)
    running.done(typed("docker compose run --rm -T admin export"))
    assert (running.folder / "march.csv").read_text().startswith("account_id,")
    running.done(typed("docker compose run --rm -T --entrypoint sh admin -c"))
    assert (running.folder / "march.xlsx").read_bytes().startswith(b"PK")


def test_doctor_finds_nothing_to_mend(running):
    said = running.on_a_terminal(typed("docker compose run --rm admin doctor"))

    assert said.code == 0, said
    assert "failed" not in said.out
    assert "tls" not in said.out  # between containers nobody can follow that advice


def test_every_line_of_the_processes_log_is_an_event(running):
    running.done("docker compose kill --signal KILL worker && docker compose up --detach --wait")

    said = running.done("docker compose logs --no-log-prefix scheduler worker web")
    lines = [line.removeprefix("\x1b[2K") for line in said.splitlines()]  # compose adds it
    assert [line for line in lines if not line.startswith("{")] == []


def test_no_process_is_an_administrator_of_a_server(running):
    question = (
        "SELECT DISTINCT usename, rolsuper FROM pg_stat_activity "
        "JOIN pg_roles ON rolname = usename "
        "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    psql = "docker compose exec -T postgres psql --username postgres --tuples-only --no-align"
    seen = running.done(f'{psql} --command "{question}"')
    users = running.done(
        "docker compose exec -T rabbitmq rabbitmqctl --quiet list_connections user vhost"
    )

    logins = dict(line.split("|") for line in seen.split())
    assert {"ifood_scheduler", "ifood_worker"} <= logins.keys()
    assert set(logins.values()) == {"f"}
    assert {tuple(line.split("\t")) for line in users.splitlines()[1:]} <= {
        (f"ifood_{role}", "ifood") for role in ("scheduler", "worker", "web")
    }


@pytest.mark.parametrize("service", ["scheduler", "worker", "web"])
def test_a_process_sees_its_own_login_alone(running, service):
    environ = running.done(f"docker compose exec -T {service} env")
    logins = running.done(f"docker compose exec -T {service} sh -c 'cat /run/login/*'")
    others = running(f"docker compose exec -T {service} sh -c 'ls /run/logins/*/*'")

    assert running.password not in environ
    assert set(re.findall(r"ifood_\w+", logins)) == {f"ifood_{service}"}
    assert (others.code != 0, others.out) == (True, "")
    assert ("=" in environ.split("IFOOD_ENCRYPTION_KEYS=")[1].split("\n")[0]) == (service != "web")


def test_new_passwords_are_given_to_all_at_once(running):
    former = running.done("docker compose exec -T worker cat /run/login/database_url")

    running.done(typed("docker compose run --rm logins --new"))
    running.done("docker compose up --detach --wait")

    assert running.done("docker compose exec -T worker cat /run/login/database_url") != former
    assert running.on_a_terminal(typed("docker compose run --rm admin doctor")).code == 0


def test_a_password_is_changed_unseen(running):
    changed = running.on_a_terminal(typed(_CHANGE_PASSWORD), (UNSEEN, "unseen123"))

    assert changed.code == 0, changed
    assert "unseen123" not in changed.out
    running.done("docker compose up --detach --wait")  # which gives logins again
    running.done(
        "docker compose exec -T rabbitmq rabbitmqctl authenticate_user ifood_operator unseen123"
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
        "docker compose exec -T postgres psql --quiet",
        f"{_AT_THE_DRILL} db check",
        f"{_AT_THE_DRILL} secrets check",
        "docker compose exec postgres dropdb",
    ):
        line = typed(beginning)
        done = running(line) if " -T " in line else running.on_a_terminal(line)
        assert done.code == 0, (line, done)


def test_the_tests_of_the_backup_pass_with_the_server_of_the_containers(running):
    # Of their own: the processes in the containers would take their messages.
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
