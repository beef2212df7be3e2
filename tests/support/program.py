"""The program as people and units use it: commands that end, and processes that are told to."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ifood_actors.kinds import KINDS
from ifood_actors.spans import WEEKDAYS
from ifood_simulator import Simulator
from support.clock import PATIENCE_SECONDS
from support.fork_server import Fork, ForkServer, fork_server
from support.logins import with_logins
from support.world import KEY

PROGRAM = str(Path(sys.executable).with_name("ifood-actors"))
SCRIPTS = Path(__file__).parents[2] / "scripts"
NOWHERE_DATABASE = "postgresql://somebody:hunter2@127.0.0.1:1/nowhere"
NOWHERE_BROKER = "amqp://somebody:hunter2@127.0.0.1:1/"
PATCHED_BY = ("PYTHONPATH", "TEST_PATCH")  # a mutant must be one in every process
# What is read when Python starts: by itself, and by tests/patches/sitecustomize.py.
_READ_AT_START = ("PYTHON", "LANG", "LC_", "TEST_PATCH")


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
class Program:
    """`ifood-actors` in a folder of its own, with these settings and no others."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: str = "", **settings: str) -> Outcome:
        """Run a command to its end, in a fork of a process that has imported everything."""
        environment = with_logins(self.environment(**settings), *arguments)
        if not (server := _fork_server(environment)):
            return self.by_itself(*arguments, stdin=stdin, **settings)
        return Outcome(
            *server.run(
                PROGRAM,
                arguments,
                environment=environment,
                folder=self.folder,
                stdin=stdin,
                within=PATIENCE_SECONDS,
            )
        )

    def each(self, commands: Sequence[Sequence[str]], **settings: str) -> list[Outcome]:
        """Run several commands, one after the other."""
        return [self(*arguments, **settings) for arguments in commands]

    def run(self, *arguments: str, stdin: str = "", code: int = 0) -> Outcome:
        """Run a command to its end and insist on its exit code."""
        done = self(*arguments, stdin=stdin)
        assert done.code == code, f"{arguments}: {done.out}{done.err}"
        return done

    def json(self, *arguments: str) -> Any:
        return self.run(*arguments, "--json").document

    def by_itself(self, *arguments: str, stdin: str = "", **settings: str) -> Outcome:
        """Run a command in a process of its own, from the start."""
        return self._run([PROGRAM, *arguments], stdin=stdin, **settings)

    def script(self, name: str, *arguments: str, **settings: str) -> Outcome:
        """Run one of `scripts/`."""
        return self._run([str(SCRIPTS / name), *arguments], **settings)

    def start(self, *arguments: str) -> "Running":
        """Start a process in a session of its own, which logs to a file; the caller stops it."""
        environment = with_logins(self.environment(), *arguments)
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            if server := _fork_server(environment):
                fork = server.start(
                    PROGRAM, arguments, environment=environment, folder=self.folder, log=log
                )
                return Running(fork)
            process = subprocess.Popen(
                [PROGRAM, *arguments],
                env=environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return Running(process)

    @contextmanager
    def process(self, *arguments: str) -> Iterator["Running"]:
        """Run a process until the block ends; then it is told to end."""
        running = self.start(*arguments)
        try:
            yield running
        finally:
            running.stop()

    def piped(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        """Start a process whose words are read as they come; the caller stops it."""
        return subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=self.folder,
            env=with_logins(self.environment(**settings), *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def logs(self) -> str:
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))

    def environment(self, **settings: str) -> dict[str, str]:
        path = f"{Path(PROGRAM).parent}:{os.environ['PATH']}"
        patch = {name: os.environ[name] for name in PATCHED_BY if "TEST_PATCH" in os.environ}
        return {"PATH": path, **patch, **self.settings, **settings}

    def _run(self, command: list[str], *, stdin: str = "", **settings: str) -> Outcome:
        ran = subprocess.run(
            command,
            cwd=self.folder,
            env=with_logins(self.environment(**settings), *command[1:]),
            input=stdin,
            capture_output=True,
            check=False,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
        )
        return Outcome(ran.returncode, ran.stdout, ran.stderr)


def _fork_server(environment: Mapping[str, str]) -> ForkServer | None:
    """Give whose forks can have this environment; None if only a Python that starts with it can."""
    if any(name.startswith(_READ_AT_START) for name in environment.keys() - {"PYTHONPATH"}):
        return None
    return fork_server(environment.get("PYTHONPATH"))


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[bytes] | Fork

    def kill(self) -> None:
        """Kill the process and all of its children at once, as a power cut would."""
        self._signal(signal.SIGKILL)
        self.process.wait(PATIENCE_SECONDS)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def processes(self) -> Iterator[Path]:
        """Give the folders in /proc of the process and all of its children."""
        for path in Path("/proc").glob("[0-9]*"):
            with suppress(ProcessLookupError):
                if os.getsid(int(path.name)) == self.process.pid:
                    yield path

    def _signal(self, signum: signal.Signals) -> None:
        # The children are groups of their own.
        for path in self.processes():
            with suppress(ProcessLookupError):
                os.kill(int(path.name), signum)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def installation(
    folder: Path, simulator: Simulator, *, database_url: str, broker_url: str, **settings: str
) -> Program:
    """
    Give the program with all that its processes need; `settings` are further IFOOD_ variables.

    Unless they say otherwise, no window opens, so that only what the test plans is there; and a
    worker is one process, which starts in half the time.
    """
    given = {
        "IFOOD_DATABASE_URL": database_url,
        "IFOOD_BROKER_URL": broker_url,
        "IFOOD_API_BASE_URL": simulator.url,
        "IFOOD_API_ALLOW_HOST": "127.0.0.1",
        "IFOOD_ENCRYPTION_KEYS": KEY,
        "IFOOD_RATE_LIMIT_PER_MINUTE": "60000",
        "IFOOD_WORKER_POLL_INTERVAL_MS": "200",
        "IFOOD_WORKER_PROCESSES": "1",
        "IFOOD_LEASE": "4s",
        **{f"IFOOD_{name.upper()}": window for name, window in windows_far_away().items()},
    }
    return Program(folder, {**given, **settings})


def windows_far_away() -> dict[str, str]:
    """Give settings by which every window opens in three days."""
    weekday = WEEKDAYS[(datetime.now(UTC).weekday() + 3) % 7]
    names = [kind.window_setting for kind in KINDS.values()]
    return dict.fromkeys(names, f"{weekday} 08:00-12:00")


def starting(folder: Path, database_url: str, broker_url: str) -> list[Outcome]:
    """Start what works on a database, where it refuses to; `doctor` is the last."""
    settings = {
        "IFOOD_DATABASE_URL": database_url,
        "IFOOD_BROKER_URL": broker_url,
        "IFOOD_ENCRYPTION_KEYS": "x" * 43 + "=",
    }
    commands = [["db", "upgrade"], ["scheduler"], ["worker"], ["status"], ["doctor"]]
    return Program(folder, settings).each(commands)
