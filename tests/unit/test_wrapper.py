"""infra/systemd/ifood-actors, run as root: what a caller and other users cannot reach."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer.main
from support.program import Outcome

from ifood_actors.cli.main import app
from ifood_actors.config.loading import SECRETS, variable

SCRIPT = Path(__file__).parents[2] / "infra/systemd/ifood-actors"
# Stands for the program: tells who it is, where, and what it was given.
PROGRAM = """\
#!/usr/bin/python3 -IS
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "uids": os.getresuid(), "gids": os.getresgid(), "groups": os.getgroups(),
    "no_new_privs": int(status["NoNewPrivs"]), "capabilities": int(status["CapEff"], 16),
    "login": open("/proc/self/loginuid").read(),
    "cwd": os.getcwd(), "umask": os.umask(0), "argv": __import__("sys").argv[1:],
    "environ": dict(os.environ),
}))
"""
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined] # it is a group
SECRET = [variable(name) for name in SECRETS]
BENIGN = {"PATH", "HOME", "PYTHONSAFEPATH", "LC_CTYPE"}  # Python itself adds the last one
# Of a caller whose rule lets the whole environment pass.
HOSTILE = {
    "PYTHONPATH": "{planted}",
    "PYTHONHOME": "{planted}",
    "PYTHONSTARTUP": "{planted}/re.py",
    "PATH": "{planted}:/usr/bin:/bin",
    "IFS": "/",
    "ENV": "{planted}/code",
    "BASH_ENV": "{planted}/code",
    "HOME": "{planted}",
    "SSL_CERT_FILE": "{planted}/ca.pem",
    "PGSERVICEFILE": "{planted}/services",
    "HTTPS_PROXY": "http://evil.example",
    "LANG": "{planted}",
    "LC_ALL": "{planted}/pt_BR",
    "TERM": "{planted}/xterm",
    "ifood_database_url": "postgresql://evil.example/x",
}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")


@dataclass(frozen=True)
class Host:
    """A machine's `/etc/ifood-actors`, its program, and a folder that anybody may write."""

    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "etc/ifood-actors"

    @property
    def planted(self) -> Path:
        return self.folder / "planted"

    @property
    def victim(self) -> Path:
        """Where whatever is executed as root leaves its trace."""
        return self.folder / "victim"

    def write(self, name: str, text: str) -> Path:
        path = self.settings / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    def __call__(self, *words: str, **environ: str) -> Outcome:
        done = subprocess.run(
            [self.folder / "wrapper", *words],
            cwd=self.planted,
            env={"PATH": "/usr/bin:/bin", **environ},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def ran(self, *words: str, **environ: str) -> Any:
        """Call it where it must work, and give what the program saw."""
        done = self(*words, **environ)
        assert done.code == 0, done
        return json.loads(done.out)

    def refused(self, *words: str) -> str:
        """Call it where it must not work: one line, and nothing was run."""
        done = self(*words)
        assert (done.code, done.out) == (2, ""), done
        [line] = done.err.splitlines()
        return line


@pytest.fixture
def host() -> Iterator[Host]:
    # Not in pytest's own folder, which only root may enter.
    with tempfile.TemporaryDirectory(prefix="ifood-wrapper-") as path:
        folder = Path(path)
        folder.chmod(0o755)
        found = Host(folder)
        text = SCRIPT.read_text()
        for was, here in (
            ("/etc/ifood-actors", found.settings),
            ("/opt/ifood-actors/bin/ifood-actors", folder / "program"),
            ('USER = "ifood-actors"', 'USER = "daemon"'),
        ):
            assert was in text
            text = text.replace(was, str(here))
        for name, content in (("wrapper", text), ("program", PROGRAM)):
            (folder / name).write_text(content)
            (folder / name).chmod(0o755)
        found.settings.mkdir(parents=True)
        found.planted.mkdir()
        for name in ("environment", "admin", "db", "scheduler", "worker", "web"):
            found.write(name, f"IFOOD_OF_{name.upper()}='1'\n")
        yield found


def plant(host: Host, name: str) -> None:
    """Leave code in the folder of everybody that notes who has run it."""
    path = host.planted / name
    path.write_text(
        f"open({str(host.victim)!r}, 'w')\n"
        if name.endswith(".py")
        else f"#!/bin/sh\n: >{host.victim}\n"
    )
    path.chmod(0o755)


@pytest.mark.parametrize("command", [*COMMANDS, "--version", "nonsense", ""])
def test_each_command_has_the_settings_of_all_and_its_own(host, command):
    own = command if command in {"scheduler", "worker", "web", "db"} else "admin"

    seen = host.ran(command, "--help")["environ"]

    assert seen.keys() - BENIGN == {"IFOOD_OF_ENVIRONMENT", f"IFOOD_OF_{own.upper()}"}


def test_the_program_has_the_rights_of_its_user_and_gains_none(host):
    seen = host.ran("status")

    assert 0 not in seen["uids"] + seen["gids"] + seen["groups"]
    assert (seen["no_new_privs"], seen["capabilities"]) == (1, 0)
    assert (seen["cwd"], seen["umask"]) == ("/", 0o077)


def test_the_program_learns_who_called_from_the_kernel_and_from_sudo(host):
    log_in = ["sh", "-c", 'echo 1 >/proc/self/loginuid && exec "$@"', "sh"]
    sudo = {"PATH": "/usr/bin:/bin", "SUDO_USER": "maria"}

    seen = json.loads(subprocess.check_output([*log_in, host.folder / "wrapper", "acts"], env=sudo))

    assert (seen["login"], seen["environ"]["SUDO_USER"]) == ("1", "maria")


@pytest.mark.parametrize("path", ["../../planted/code", "../planted/code", "/planted/code", "."])
def test_no_argument_names_a_file_that_root_would_read(host, path):
    plant(host, "code")
    for folder in (host.folder / "etc/planted", host.settings / "planted"):
        folder.mkdir()
        shutil.copy(host.planted / "code", folder)

    seen = host.ran(path)

    assert not host.victim.exists()
    assert seen["argv"] == [path]


def test_no_line_of_a_file_of_settings_is_evaluated(host):
    line = f"$(touch${{IFS}}{host.victim})`touch${{IFS}}{host.victim}`;touch${{IFS}}{host.victim}"
    host.write("admin", f"IFOOD_A={line}\nIFOOD_B=\"{line}\"\nIFOOD_C='{line}'\n")

    seen = host.ran("status")["environ"]

    assert not host.victim.exists()
    assert [seen[name] for name in ("IFOOD_A", "IFOOD_B", "IFOOD_C")] == [line] * 3


@pytest.mark.parametrize(
    "line",
    [
        "IFOOD_A=1 2",
        "export IFOOD_A=1",
        "IFOOD_A='it''s",
        "IFOOD_A=a\\",
        "touch x",
        "A-B=1",
        "A=\0",
    ],
)
def test_a_line_that_is_no_setting_is_named_by_its_number_alone(host, line):
    host.write("admin", f"# a remark\n\n{line}-hunter2\n")

    assert host.refused("status").endswith(
        "admin: line 3 is not NAME=VALUE, NAME='VALUE' or a remark"
    )


def test_values_are_read_as_systemd_reads_them(host):
    host.write("admin", "; a remark\nA=b:/.@-_=c \nB='a $b\"# \\'\nC=\"it's\"\nD=\nA=2")

    seen = host.ran("status")["environ"]

    assert {name: seen[name] for name in "ABCD"} == {
        "A": "2",
        "B": 'a $b"# \\',
        "C": "it's",
        "D": "",
    }


def is_a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def is_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def is_of_another(path: Path) -> None:
    os.chown(path, 1, 0)


def may_be_written(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o002)


def may_be_written_by_a_group(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o020)


def is_missing(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


every_spoil = pytest.mark.parametrize(
    "spoil",
    [is_a_link, is_of_another, may_be_written, may_be_written_by_a_group, is_missing],
    ids=lambda spoil: spoil.__name__,
)


@pytest.mark.parametrize("name", ["environment", "admin"])
@every_spoil
def test_settings_that_another_could_have_written_are_refused(host, name, spoil):
    spoil(host.settings / name)

    assert f"{host.settings}/{name}" in host.refused("status")


@every_spoil
def test_a_folder_that_another_could_have_written_is_refused(host, spoil):
    spoil(host.settings)

    assert str(host.settings) in host.refused("status")


def test_a_pipe_in_place_of_settings_is_not_waited_for(host):
    is_a_pipe(host.settings / "admin")

    assert f"{host.settings}/admin" in host.refused("status")


@pytest.mark.parametrize("name", [*SECRET, *(f"{name}_FILE" for name in SECRET)])
def test_a_secret_is_not_handed_to_all(host, name):
    host.write("environment", f"{name}='hunter2'\n")

    line = host.refused("web")

    assert name in line
    assert "hunter2" not in line


def test_nothing_of_a_hostile_environment_is_run_or_handed_on(host):
    for name in ("re.py", "sitecustomize.py", "code", "setpriv", "awk", "python3", "env"):
        plant(host, name)
    environ = {name: value.format(planted=host.planted) for name, value in HOSTILE.items()}

    seen = host.ran("status", **environ)["environ"]

    assert not host.victim.exists()
    assert seen["PATH"] == "/usr/local/bin:/usr/bin:/bin"
    assert str(host.planted) not in str(seen)
    assert seen.keys() - BENIGN == {"IFOOD_OF_ENVIRONMENT", "IFOOD_OF_ADMIN"}


def test_a_setting_of_the_caller_wins_and_is_no_code(host):
    host.write("admin", "IFOOD_DATABASE_URL='postgresql://of/admin'\nIFOOD_BROKER_URL_FILE=/x\n")
    text = f"it's $(touch {host.victim});\n`touch {host.victim}`\nIFOOD_TIMEZONE=x"

    seen = host.ran(
        "status", IFOOD_DATABASE_URL_FILE=text, IFOOD_BROKER_URL="amqp://", SUDO_USER="maria"
    )["environ"]

    assert not host.victim.exists()
    assert seen["IFOOD_DATABASE_URL_FILE"] == text
    assert seen["IFOOD_BROKER_URL"] == "amqp://"
    assert not seen.keys() & {"IFOOD_DATABASE_URL", "IFOOD_BROKER_URL_FILE", "IFOOD_TIMEZONE"}
    assert seen["SUDO_USER"] == "maria"


def test_a_file_of_roots_that_the_caller_names_is_not_read_for_it(host):
    secret = host.write("../shadow", "hunter2\n")

    seen = host.ran("apps", IFOOD_CLIENT_SECRET_FILE=str(secret))

    assert "hunter2" not in str(seen)  # the program itself reads it, and may not
    assert 0 not in seen["uids"]


@pytest.mark.parametrize("word", ["--reuid=0", "--", "-c", "--reset-env", "-", "-IS"])
def test_an_argument_is_an_argument_of_the_program(host, word):
    seen = host.ran(word, "--reuid=0", "a b")

    assert seen["argv"] == [word, "--reuid=0", "a b"]
    assert 0 not in seen["uids"]


def test_the_files_of_the_wrapper_are_those_of_the_units():
    [listed] = re.findall(r"^PROCESSES = \((.+)\)$", SCRIPT.read_text(), re.MULTILINE)
    units = {path.stem.rpartition("-")[2] for path in SCRIPT.parent.glob("*.service")}

    assert set(re.findall(r'"(\w+)"', listed)) == units | {"db"}
