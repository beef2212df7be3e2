"""What every private server needs: a folder, a port, and an end even after SIGKILL."""

import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Self

from ifood_actors.errors import ServiceUnavailable

# Below the ranges that Linux (32768) and macOS (49152) hand to outgoing connections, so that none
# takes the port by chance while its server is down and about to start again.
_PORTS = range(20_000, 32_000)

_POLL = timedelta(milliseconds=50)

Process = subprocess.Popen[bytes]

# Each line names the processes that live now; the pipe ends when its owner does, however it died.
# A dying server may still write: hence the second try at its folder.
_GUARD = """
pids=
while read -r line; do
  pids=$line
  [ "$line" != end ] || { pids=; break; }
done
[ -z "$pids" ] || kill -KILL $pids
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
"""


class PrivateFolder:
    """
    A folder and the processes that work in it; neither outlives this process.

    Only this process's user can change what is in it. Where the processes have another user, that
    one gets folders of its own inside, in which this process opens no path: its user
    could have put a link in its place, and root would follow it.

    A shell holds the other end of a pipe that only this process writes to. When the pipe ends, be
    it by SIGKILL, the shell kills the processes by their ids and removes the folder.
    """

    def __init__(self, name: str, *, account: str | None = None) -> None:
        """Make `/tmp/NAME-...`, for processes of `account` (a user of this machine) if given."""
        # Not TMPDIR: a Unix socket's path is limited to 107 bytes, and `account` must reach it.
        self.path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir="/tmp"))
        self._account = account
        self._group = pwd.getpwnam(account).pw_gid if account else None
        self._extra_groups: list[int] | None = [] if account else None
        if account:
            self.path.chmod(0o711)  # to pass through
        self._alive: list[int] = []
        self._lock = threading.Lock()
        self._guard = subprocess.Popen(  # noqa: S603 - the script is the constant above
            ["/bin/sh", "-c", _GUARD, "guard", str(self.path)],
            stdin=subprocess.PIPE,
            bufsize=0,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, name: str, text: str) -> Path:
        """Write a file that only the account may read."""
        path = self.path / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        if self._account:
            shutil.chown(path, self._account)
        return path

    def make_folder(self, name: str) -> Path:
        """Make a folder that only the account may enter."""
        path = self.path / name
        path.mkdir(mode=0o700)
        if self._account:
            shutil.chown(path, self._account)
        return path

    def start(self, args: Sequence[str | Path], *, env: Mapping[str, str], log: str) -> Process:
        """Start a server in the folder, in a session of its own: Ctrl-C is ours to handle."""
        with (self.path / log).open("ab") as output:
            process = subprocess.Popen(  # noqa: S603 - programs found by this package
                args,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.path,
                env=env,
                start_new_session=True,
                user=self._account,
                group=self._group,
                extra_groups=self._extra_groups,
            )
        self._note(started=process.pid)
        return process

    def run(self, args: Sequence[str | Path], *, env: Mapping[str, str], within: timedelta) -> str:
        """
        Run a program to its end and return what it printed.

        Raises ServiceUnavailable with its last lines when it fails or takes longer than `within`.
        """
        try:
            done = subprocess.run(  # noqa: S603 - programs found by this package
                args,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self.path,
                env=env,
                text=True,
                check=False,
                timeout=within.total_seconds(),
                user=self._account,
                group=self._group,
                extra_groups=self._extra_groups,
            )
        except subprocess.TimeoutExpired:
            raise ServiceUnavailable(f"{args[0]} did not end within {within}") from None
        if done.returncode:
            raise ServiceUnavailable(f"{args[0]} failed: {done.stdout.strip()[-500:]}")
        return done.stdout

    def end(self, process: Process, signal: Signals, *, within: timedelta) -> None:
        """Send `signal` and wait; SIGKILL when that was not enough. An ended process is fine."""
        process.send_signal(signal)
        try:
            process.wait(within.total_seconds())
        except subprocess.TimeoutExpired:
            process.send_signal(SIGKILL)
            process.wait()
        self._note(ended=process.pid)

    def close(self) -> None:
        """Remove the folder. Its processes have ended by now."""
        with self._lock:
            self._tell("end")
        if self._guard.stdin:
            self._guard.stdin.close()
        self._guard.wait()

    def _note(self, *, started: int | None = None, ended: int | None = None) -> None:
        with self._lock:
            self._alive = [pid for pid in (*self._alive, started) if pid and pid != ended]
            self._tell(" ".join(map(str, self._alive)))

    def _tell(self, line: str) -> None:
        if self._guard.stdin and not self._guard.stdin.closed:
            self._guard.stdin.write(line.encode() + b"\n")


def free_port() -> int:
    """
    Return a TCP port of 127.0.0.1 on which no process listens.

    While this process lives, this function gives the same port to no process again.
    """
    while True:
        address = "127.0.0.1", secrets.choice(_PORTS)
        udp = socket.SOCK_DGRAM
        with socket.socket(type=udp) as given, socket.socket() as probe, suppress(OSError):
            given.bind(address)
            probe.bind(address)
            # The server may not listen for another ten seconds. Until this process ends, no
            # other caller can bind the UDP port of the same number.
            given.detach()
            return address[1]


def answers(port: int) -> bool:
    """Tell whether a process accepts connections on 127.0.0.1."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(condition: Callable[[], bool], *, within: timedelta) -> bool:
    """Ask `condition` again and again; False when it did not hold `within` the time."""
    pause = threading.Event()
    deadline = time.monotonic() + within.total_seconds()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(_POLL.total_seconds())
    return True


def last_lines(log: Path) -> str:
    """Return the end of a log in one line, for an error that a person reads."""
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return " / ".join(text.split("\n")[-8:]).strip(" /")[-800:] or "it logged nothing"
