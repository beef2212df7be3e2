"""A private RabbitMQ server from the machine's programs; the registry of Python has none."""

import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Self

from ifood_actors.embedded.management import Management
from ifood_actors.embedded.processes import (
    PrivateFolder,
    Process,
    answers,
    free_port,
    last_lines,
    wait_until,
)
from ifood_actors.errors import ServiceUnavailable

INSTALL_HINT = "install Debian's package rabbitmq-server (its service need not run)"

_START = timedelta(seconds=180)
_STOP = timedelta(seconds=15)

_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
management.tcp.ip = 127.0.0.1
management.tcp.port = {management_port}
default_user = {user}
default_pass = {password}
loopback_users.none = true
log.file = broker.log
log.file.level = info
# A laptop's disk may well be nearly full, and the default write-ahead log (512 MB) is a server's.
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 67108864
"""


class PrivateRabbit:
    """
    One RabbitMQ node of our own, on free loopback ports, removed at the end of the `with` block.

    Node name, cookie, folders, ports and even the port mapper (epmd) are its own, so that a
    RabbitMQ that already runs here is neither needed nor touched. It takes 6 to 11 s to start.
    """

    def __init__(self, programs: Path | None = None) -> None:
        """
        Take the scripts from the folder `programs`, else from where `find_programs` finds them.

        Raises ServiceUnavailable when there are none.
        """
        found = programs or find_programs()
        if found is None:
            raise ServiceUnavailable(f"no RabbitMQ programs on this machine: {INSTALL_HINT}")
        self._programs = found
        self._node = f"ifood-{secrets.token_hex(4)}@localhost"
        self._user, self._password = "ifood", secrets.token_hex(16)
        self._server: Process | None = None
        self._port_mapper: Process | None = None
        self._port_mapper_port, self._distribution_port = free_port(), free_port()
        self.port, self.management_port = free_port(), free_port()
        self.management = Management(self.management_port, user=self._user, password=self._password)

    def __enter__(self) -> Self:
        self._folder = PrivateFolder("ifood-rabbitmq")
        try:
            self._write_files()
            self._start_port_mapper()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()  # what a clean stop would write within 6 s is about to be removed
        if self._port_mapper:
            self._folder.end(self._port_mapper, SIGTERM, within=_STOP)
        self._folder.close()

    @property
    def url(self) -> str:
        return f"amqp://{self._user}:{self._password}@127.0.0.1:{self.port}/"

    @property
    def folder(self) -> Path:
        return self._folder.path

    @property
    def pid(self) -> int | None:
        """The Erlang machine's process id; None while it is down."""
        return self._server.pid if self._server else None

    def start(self) -> None:
        """Start the node on its data; raises ServiceUnavailable with the end of its log."""
        if self._server:
            return
        # -noinput here and ALLOW_INPUT in the environment: the script then becomes the Erlang
        # machine instead of standing between it and our signals.
        command = [f"{self._programs}/rabbitmq-server", "-noinput"]
        self._server = self._folder.start(command, env=self._env(), log="start.log")
        wait_until(self._settled, within=_START)
        if not answers(self.port):
            self.kill()
            raise ServiceUnavailable(f"RabbitMQ did not start: {self._complaint()}")

    def stop(self) -> None:
        """Stop cleanly, as at a reboot."""
        self._end(SIGTERM)

    def kill(self) -> None:
        """
        SIGKILL: what was not yet on the disk is lost.

        RabbitMQ 3.10 keeps the name of a new quorum queue's log in memory for about a second. Who
        kills it that soon after the declaration gets a queue back that is empty and leaderless.
        """
        self._end(SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def ctl(self, *args: str) -> str:
        """Run rabbitmqctl on the node and return what it printed; it takes about 2 s."""
        command = [f"{self._programs}/rabbitmqctl", *args]
        return self._folder.run(command, env=self._env(), within=_START)

    @contextmanager
    def vhost(self, name: str) -> Iterator[str]:
        """Create a virtual host, give its URL, and delete it at the end."""
        with self.management.vhost(name):
            yield f"{self.url}{name}"

    def _settled(self) -> bool:
        """Up or dead: the AMQP listener opens last, when the node is ready."""
        dead = self._server is None or self._server.poll() is not None
        return dead or answers(self.port)

    def _complaint(self) -> str:
        return last_lines(self.folder / "start.log")

    def _end(self, signal: Signals) -> None:
        if self._server:
            self._folder.end(self._server, signal, within=_STOP)
            self._server = None

    def _start_port_mapper(self) -> None:
        """Start epmd ourselves: one that a node starts outlives it."""
        program = _erlang("epmd")
        command = [str(program), "-address", "127.0.0.1", "-port", str(self._port_mapper_port)]
        self._port_mapper = self._folder.start(command, env=self._env(), log="epmd.log")
        if not wait_until(lambda: answers(self._port_mapper_port), within=_STOP):
            complaint = last_lines(self.folder / "epmd.log")
            raise ServiceUnavailable(f"Erlang's epmd did not start: {complaint}")

    def _write_files(self) -> None:
        values = {"port": self.port, "management_port": self.management_port}
        config = _CONFIG.format(user=self._user, password=self._password, **values)
        self._folder.write("rabbitmq.conf", config)
        self._folder.write("enabled_plugins", "[rabbitmq_management].\n")
        self._folder.write("environment.conf", "")
        self._folder.write("advanced.config", "[].\n")
        self._folder.write(".erlang.cookie", secrets.token_hex(16))
        (self.folder / "conf.d").mkdir()

    def _env(self) -> dict[str, str]:
        """Everything the scripts would else read from /etc/rabbitmq or put into /var."""
        folder = self.folder
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
            "PATH": f"{_erlang('erl').parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._port_mapper_port),
            "RABBITMQ_ALLOW_INPUT": "true",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": loopback,
            "RABBITMQ_CTL_ERL_ARGS": loopback,
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/environment.conf",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_CONFIG_FILES": f"{folder}/conf.d",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
        }


def find_programs() -> Path | None:
    """
    Return the folder of RabbitMQ's own scripts on this machine, else None.

    Not Debian's `/usr/sbin/rabbitmq-server`: as root it switches to another user and to the
    system's folders, and as any other user it refuses.
    """
    candidates = sorted(Path("/usr/lib/rabbitmq/lib").glob("*/sbin"), key=_version, reverse=True)
    candidates += [Path("/usr/lib/rabbitmq/bin"), Path("/opt/rabbitmq/sbin")]
    on_path = shutil.which("rabbitmqctl")
    if on_path and not Path("/usr/lib/rabbitmq").exists():
        candidates.append(Path(on_path).resolve().parent)
    if shutil.which("erl") is None:
        return None
    return next((folder for folder in candidates if (folder / "rabbitmq-server").exists()), None)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", folder.parent.name))


def _erlang(program: str) -> Path:
    """Return a program of the machine's Erlang."""
    found = shutil.which(program)
    if found is None:
        raise ServiceUnavailable(f"no {program} on this machine: {INSTALL_HINT}")
    return Path(found)
