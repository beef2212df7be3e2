"""
Runs commands and processes of `ifood-actors` in forks of one that has imported everything.

What a command imports takes longer than what it does. A fork has arguments, environment, folder,
stdin, stdout, stderr, signals and exit code of its own, so that nothing that one command
does reaches another. Python itself has read its own variables (PYTHON..., LANG)
before: for those, start the program. Of them only PYTHONPATH is taken, by a server of its own.
"""

import atexit
import gc
import importlib
import json
import os
import pkgutil
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import BinaryIO, NoReturn

_LONGEST_REQUEST = 2**18  # bytes: arguments and environment
_LONGEST_ANSWER = 32  # bytes: a process's id or exit code
# Those that Alembic runs, and the one by which `ifood_actors.worker` knows that it is to work.
_NOT_IMPORTED = ("migrations.versions", "migrations.env", "worker.command")


class ForkServer:
    """The end of the one who asks; the server ends with it."""

    def __init__(self, python_path: str | None) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._requests.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST_REQUEST)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                env={
                    "PATH": os.environ["PATH"],
                    **({"PYTHONPATH": python_path} if python_path else {}),
                },
                pass_fds=[theirs.fileno()],
                # Pipes, as the streams of most commands are: Python looks once, at its start.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )

    def close(self) -> None:
        self._requests.close()
        self._server.communicate()

    def run(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        stdin: str,
        within: float,
    ) -> tuple[int, str, str]:
        """
        Run a command to its end: its exit code, stdout and stderr.

        Raises subprocess.TimeoutExpired, and kills it, after `within` seconds.
        """
        command = _Command([program, *arguments], dict(environment), str(folder))
        with _file(stdin) as given, _file() as out, _file() as err:
            fork = self._fork(command, [given, out, err])
            try:
                code = fork.wait(within)
            except subprocess.TimeoutExpired:
                fork.kill()
                raise
            return code, _text(out), _text(err)

    def start(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        log: BinaryIO,
    ) -> "Fork":
        """Start a process in a session of its own, which writes to `log`; the caller stops it."""
        command = _Command([program, *arguments], dict(environment), str(folder), own_session=True)
        with _file() as nothing:
            return self._fork(command, [nothing, log, log])

    def _fork(self, command: "_Command", streams: Sequence[BinaryIO]) -> "Fork":
        answers, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            files = [*(stream.fileno() for stream in streams), theirs.fileno()]
            socket.send_fds(self._requests, [json.dumps(asdict(command)).encode()], files)
        return Fork(answers)


@dataclass
class _Command:
    arguments: list[str]
    environment: dict[str, str]
    folder: str
    own_session: bool = False


class Fork:
    """A command in a fork; it has of `subprocess.Popen` what tests ask of a process."""

    def __init__(self, answers: socket.socket) -> None:
        """Take a socket that gives the process's id and, when it has ended, its exit code."""
        self._answers = answers
        self.pid = int(answers.recv(_LONGEST_ANSWER))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._answers], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a fork", timeout or 0)
            self.returncode = int(self._answers.recv(_LONGEST_ANSWER))
            self._answers.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def fork_server(python_path: str | None = None) -> ForkServer:
    """Give the one that imports from `python_path` first, started when it is first asked for."""
    server = ForkServer(python_path)
    atexit.register(server.close)
    return server


def _file(content: str = "") -> BinaryIO:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(content.encode())
    file.seek(0)
    return file


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode()


def _serve(requests: socket.socket) -> None:
    """Fork for each request, and tell how the fork has ended; returns in the forks."""
    _import_everything()
    gc.freeze()  # so that no fork copies it
    selector = selectors.DefaultSelector()
    selector.register(requests, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.data:
                selector.unregister(key.fd)
                os.close(key.fd)
                _tell_the_end(*key.data)
                continue
            request, files, _, _ = socket.recv_fds(requests, _LONGEST_REQUEST, 4)
            if not request:
                os._exit(0)
            *streams, answer = files
            if not (pid := os.fork()):
                for running in list(selector.get_map().values()):
                    if running.data:
                        os.close(running.fd)
                        os.close(running.data[1])
                selector.close()
                requests.close()
                os.close(answer)
                _become(_Command(**json.loads(request)), streams)
                return
            for file in streams:
                os.close(file)
            os.write(answer, str(pid).encode())
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, answer))


def _tell_the_end(pid: int, answer: int) -> None:
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):  # the caller waits no more
        os.write(answer, str(os.waitstatus_to_exitcode(status)).encode())
    os.close(answer)


def _import_everything() -> None:
    for name in ("ifood_actors", "ifood_simulator"):
        package = importlib.import_module(name)
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not any(part in module.name for part in _NOT_IMPORTED):
                importlib.import_module(module.name)


def _become(command: _Command, streams: Sequence[int]) -> None:
    if command.own_session:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(command.environment)
    os.chdir(command.folder)
    sys.argv = command.arguments


def _end(code: int) -> NoReturn:
    """End as Python does, but for what only gives back memory: that takes longer than all else."""
    threading._shutdown()  # type: ignore[attr-defined] # what Python itself calls
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))

    from ifood_actors.cli.main import main

    try:
        main()
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        _end(end.code)
