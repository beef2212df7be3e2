"""Private servers start anywhere, disturb nobody and leave nothing behind."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import dramatiq
import pika
import psycopg
import pytest
from dramatiq.common import current_millis
from pika.exceptions import ChannelClosedByBroker
from support.clock import PATIENCE_SECONDS, eventually

from ifood_actors.embedded import docker, postgres, rabbitmq
from ifood_actors.embedded.inprocess import InProcessBroker
from ifood_actors.embedded.postgres import PrivatePostgres
from ifood_actors.embedded.processes import PrivateFolder, answers
from ifood_actors.embedded.rabbitmq import PrivateRabbit

needs_rabbitmq = pytest.mark.skipif(
    rabbitmq.find_programs() is None and (os.environ.get("CI") != "true" or docker.usable()),
    reason=rabbitmq.INSTALL_HINT,
)
needs_linux = pytest.mark.skipif(
    sys.platform != "linux", reason="looks into /proc, or binds to 127.0.0.2"
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes user")

DEFAULT_PORTS = (4369, 5432, 5672, 15672, 25672)


@pytest.fixture(scope="module")
def foreigners() -> Iterator[list[socket.socket]]:
    """Occupy the default ports, as far as they are free, like servers of somebody else."""
    with ExitStack() as stack:
        listeners = []
        for port in DEFAULT_PORTS:
            with suppress(OSError):
                listeners.append(stack.enter_context(socket.create_server(("127.0.0.1", port))))
                listeners[-1].settimeout(0)
        yield listeners


@pytest.fixture(scope="module")
def rabbit(foreigners) -> Iterator[PrivateRabbit]:  # noqa: ARG001 - they must be there before it
    with PrivateRabbit() as server:
        yield server


@pytest.mark.parametrize("find", [postgres.installed_programs, postgres.wheel_programs])
def test_postgres_runs_from_the_machines_programs_and_from_the_wheel(find):
    programs = find()
    if programs is None:
        pytest.skip("these programs are not here")

    with PrivatePostgres(programs) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_postgres_asks_for_its_password():
    with PrivatePostgres(durable=False) as server:
        wrong = server.url.replace("postgres:", "postgres:x")

        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(wrong)


def test_a_killed_postgres_comes_back_with_its_data():
    with PrivatePostgres() as server:
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        pid = server.pid

        server.kill()
        server.start()

        assert server.pid != pid
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)


@needs_root
@pytest.mark.parametrize("name", ["password", "log", "data", "sockets"])
def test_the_servers_user_can_put_nothing_in_the_way_of_root(tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("root's\n")
    before = victim.stat()
    with PrivateFolder("ifood-test", account="nobody") as folder:
        with suppress(PermissionError), as_user("nobody"):
            (folder.path / name).symlink_to(victim)

        folder.write("password", "hunter2")
        folder.start(["/bin/echo", "hunter2"], env={}, log="log").wait()
        folder.make_folder("data")
        folder.make_folder("sockets")

        assert folder.path.stat().st_uid == 0
        assert "hunter2" in (folder.path / "log").read_text()
    after = victim.stat()
    assert victim.read_text() == "root's\n"
    assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode)


@needs_root
def test_links_in_what_the_servers_user_owns_are_not_followed_by_root(tmp_path):
    victims = [tmp_path / name for name in ("file", "folder/kept")]
    victims[1].parent.mkdir()
    for victim in victims:
        victim.write_text("root's\n")
    with PrivatePostgres(durable=False) as server:
        with as_user((server.folder / "data").owner()):
            for lent in (server.folder / "data", server.sockets):
                for name in ("log", "password", "here"):
                    (lent / name).symlink_to(victims[0])
                (lent / "everything").symlink_to(victims[1].parent)
        server.restart()
        with psycopg.connect(server.url) as connection:
            connection.execute("SELECT 1")

    assert not server.folder.exists()
    assert [victim.read_text() for victim in victims] == ["root's\n"] * 2
    assert {victim.stat().st_uid for victim in victims} == {0}


@contextmanager
def as_user(name: str) -> Iterator[None]:
    """Be another user in the eyes of the file system."""
    user = pwd.getpwnam(name)
    os.setegid(user.pw_gid)
    os.seteuid(user.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@needs_linux
def test_a_stopped_postgres_leaves_neither_process_nor_folder():
    with PrivatePostgres(durable=False) as server:
        assert processes_in(server.folder)

    assert not server.folder.exists()
    eventually(lambda: not processes_in(server.folder))  # children end after their parent
    assert not answers(server.port)


@needs_linux
@needs_root
def test_programs_that_the_servers_user_cannot_reach_are_copied(tmp_path, monkeypatch):
    programs = postgres.wheel_programs()
    if programs is None:
        pytest.skip("the wheel is not here")
    package = programs.parent.parent
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    for folder in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(folder, hidden / folder.name)
    copies = Path("/var/cache") / f"ifood-actors-test-{os.getpid()}"
    monkeypatch.setattr(postgres, "_CACHE", copies)

    try:
        with PrivatePostgres(hidden.joinpath(*programs.parts[-3:]), durable=False) as server:
            assert Path(f"/proc/{server.pid}/exe").readlink().is_relative_to(copies)
        assert hidden.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(copies)


@needs_linux
@pytest.mark.parametrize(
    "server",
    [
        "postgres import PrivatePostgres as Server",
        pytest.param("rabbitmq import PrivateRabbit as Server", marks=needs_rabbitmq),
    ],
)
def test_a_server_does_not_outlive_an_owner_that_was_killed(server):
    code = f"""
from ifood_actors.embedded.{server}
with Server() as server:
    print(server.folder, flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        folder = Path(owner.stdout.readline().strip())
        assert processes_in(folder)
        owner.send_signal(signal.SIGKILL)

    eventually(lambda: not folder.exists())
    eventually(lambda: not processes_in(folder))


@needs_rabbitmq
def test_rabbitmq_neither_needs_nor_calls_servers_on_the_default_ports(rabbit, foreigners):
    rabbit.ctl("status")

    for listener in foreigners:
        with pytest.raises(BlockingIOError):
            listener.accept()


@needs_linux
@needs_rabbitmq
def test_rabbitmq_listens_on_loopback_only(rabbit):
    ports = [rabbit.port, rabbit.management_port, rabbit._distribution_port]

    assert all(answers(port) for port in ports)
    # A server on all addresses would answer here as well.
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=1)


@needs_rabbitmq
def test_virtual_hosts_know_nothing_of_each_other_and_go_away(rabbit):
    with rabbit.vhost("one") as one, rabbit.vhost("two") as two:
        declare(one, passive=False)

        with pytest.raises(ChannelClosedByBroker, match="no queue"):
            declare(two, passive=True)

    assert [vhost["name"] for vhost in rabbit.management.get("/api/vhosts")] == ["/"]


@needs_linux
@needs_rabbitmq
def test_a_killed_rabbitmq_comes_back_and_a_stopped_one_leaves_nothing():
    with PrivateRabbit() as server:
        declare(server.url, passive=False)
        server.ctl("eval", "mnesia:sync_log().")  # else it may write the declaration 2 s later

        server.kill()
        assert not answers(server.port)
        server.start()

        declare(server.url, passive=True)

    assert not server.folder.exists()
    eventually(lambda: not processes_in(server.folder))  # children end after their parent


@pytest.mark.alone
def test_the_in_process_broker_runs_delayed_messages_on_time():
    broker = InProcessBroker([])
    late = []

    @dramatiq.actor(broker=broker)
    def record(due: int) -> None:
        late.append(current_millis() - due)

    worker = dramatiq.Worker(broker, worker_threads=4, worker_timeout=50)
    worker.start()
    delays = [500 + 4 * number for number in range(1000)]

    def most_on_time() -> bool:
        late.clear()
        now = current_millis()
        broker.enqueue_many((record.message(now + delay), delay) for delay in reversed(delays))
        eventually(lambda: len(late) == len(delays))
        assert min(late) >= 0
        return sorted(late)[900] < 1000  # stock: half of them later than 2,000

    try:
        eventually(most_on_time)  # again, if the machine stalls
    finally:
        worker.stop()


def test_the_in_process_broker_keeps_no_failed_message():
    broker = InProcessBroker([])
    failures = []

    @dramatiq.actor(broker=broker)
    def fail() -> None:
        failures.append(1)
        raise ValueError

    worker = dramatiq.Worker(broker, worker_threads=1, worker_timeout=50)
    worker.start()
    try:
        fail.send()
        eventually(lambda: failures)
        broker.join("default", timeout=PATIENCE_SECONDS * 1000)
    finally:
        worker.stop()

    assert broker.dead_letters == []


def declare(url: str, *, passive: bool) -> None:
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        connection.channel().queue_declare("q", durable=True, passive=passive)


def processes_in(folder: Path) -> list[int]:
    """Processes whose working directory is in the folder, be it removed or not."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if str((process / "cwd").readlink()).startswith(str(folder)):
                found.append(int(process.name))
    return found
