"""The program as operators run it: commands that end, and processes that are told to."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ifood_actors.spans import WEEKDAYS
from ifood_simulator import Simulator
from support.commands import PROGRAM
from support.eventually import PATIENCE_SECONDS
from support.fleet import KEY
from support.logins import with_logins


@dataclass(frozen=True)
class Installation:
    """One environment, in which all commands of a test run."""

    environment: dict[str, str]
    folder: Path

    def run(
        self, *arguments: str, stdin: str = "", code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end and insist on its exit code."""
        done = subprocess.run(
            [PROGRAM, *arguments],
            env=with_logins(self.environment, *arguments),
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def start(self, *arguments: str) -> "Running":
        """Start a process in a group of its own; whoever starts it stops it."""
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [PROGRAM, *arguments],
                env=with_logins(self.environment, *arguments),
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

    def logs(self) -> str:
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("*.log"))


@dataclass(frozen=True)
class Running:
    process: subprocess.Popen[bytes]

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
) -> Installation:
    """
    Set everything that the processes need; `settings` are further IFOOD_ variables.

    Unless they say otherwise, no window opens: only what the test plans is there.
    """
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("IFOOD_")}
    given = {
        "IFOOD_DATABASE_URL": database_url,
        "IFOOD_BROKER_URL": broker_url,
        "IFOOD_API_BASE_URL": simulator.url,
        "IFOOD_API_ALLOW_HOST": "127.0.0.1",
        "IFOOD_ENCRYPTION_KEYS": KEY,
        "IFOOD_RATE_LIMIT_PER_MINUTE": "60000",
        "IFOOD_WORKER_POLL_INTERVAL_MS": "200",
        "IFOOD_LEASE": "4s",
        **{f"IFOOD_{name.upper()}": window for name, window in windows_far_away().items()},
        **settings,
    }
    return Installation({**inherited, **given}, folder)


def windows_far_away() -> dict[str, str]:
    """Give settings by which every window opens in three days."""
    weekday = WEEKDAYS[(datetime.now(UTC).weekday() + 3) % 7]
    names = ("settlements_window", "anticipations_window", "sales_window")
    return dict.fromkeys(names, f"{weekday} 08:00-12:00")
