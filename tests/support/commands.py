"""The command line as tests use it: a process with an environment and a folder of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.eventually import PATIENCE_SECONDS
from support.logins import with_logins

PROGRAM = str(Path(sys.executable).with_name("ifood-actors"))
SCRIPTS = Path(__file__).parents[2] / "scripts"
NOWHERE_DATABASE = "postgresql://somebody:hunter2@127.0.0.1:1/nowhere"
_KEY = "x" * 43 + "="
NOWHERE_BROKER = "amqp://somebody:hunter2@127.0.0.1:1/"

# Many commands in one process: what a command imports takes longer than what it does.
_ONE_PROCESS = """
import contextlib, io, json, os, sys
from ifood_actors.cli import main
answers = []
for arguments, urls in json.load(sys.stdin):
    os.environ.update(urls)
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    sys.argv = ["ifood-actors", *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main()
        except SystemExit as end:
            code = end.code
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    answers.append([code, *texts])
print(json.dumps(answers))
"""


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Read stdout as exactly one JSON document."""
        return json.loads(self.out)

    @property
    def told(self) -> str:
        """Give its one line on stderr, from the log event in which a process says the same."""
        [line] = self.err.splitlines()
        reason: str = json.loads(line)["reason"] if line.startswith("{") else line
        return reason.removeprefix("ifood-actors: ")


@dataclass
class CommandLine:
    """Runs `ifood-actors` with these settings and no others."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: str = "", **settings: str) -> Outcome:
        return self._run([PROGRAM, *arguments], stdin, settings)

    def script(self, name: str, *arguments: str, **settings: str) -> Outcome:
        """Run one of `scripts/`."""
        return self._run([str(SCRIPTS / name), *arguments], "", settings)

    def each(self, commands: Sequence[Sequence[str]], **settings: str) -> list[Outcome]:
        """Run several commands, one after the other, in one process."""
        environment = self.environment(settings)
        inputs = [(each, _urls(with_logins(environment, *each))) for each in commands]
        ran = self._run([sys.executable, "-c", _ONE_PROCESS], json.dumps(inputs), settings)
        assert ran.code == 0, ran.err
        return [Outcome(*answer) for answer in ran.document]

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """Start a process that goes on; whoever starts it stops it."""
        return subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.folder,
            env=with_logins(self.environment(settings), *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def environment(self, settings: dict[str, str]) -> dict[str, str]:
        path = f"{Path(PROGRAM).parent}:{os.environ['PATH']}"
        return {"PATH": path, **self.settings, **settings}

    def _run(self, command: list[str], stdin: str, settings: dict[str, str]) -> Outcome:
        ran = subprocess.run(
            command,
            cwd=self.folder,
            env=with_logins(self.environment(settings), *command[1:]),
            input=stdin,
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
        )
        return Outcome(ran.returncode, ran.stdout, ran.stderr)


def _urls(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.endswith("_URL")}


def starting(folder: Path, database_url: str, broker_url: str) -> list[Outcome]:
    """Start what works on a database, where it refuses to; `doctor` is the last."""
    settings = {
        "IFOOD_DATABASE_URL": database_url,
        "IFOOD_BROKER_URL": broker_url,
        "IFOOD_ENCRYPTION_KEYS": _KEY,
    }
    commands = [["db", "upgrade"], ["scheduler"], ["worker"], ["status"], ["doctor"]]
    return CommandLine(folder, settings).each(commands)
