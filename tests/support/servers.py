"""Servers that tests put beside the system: TLS in front of one, a webhook, a PgBouncer."""

import asyncio
import json
import os
import shutil
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from signal import SIGINT
from threading import Event, Thread
from typing import Any

import trustme
from sqlalchemy import make_url

from ifood_actors.embedded.processes import (
    PrivateFolder,
    answers,
    free_port,
    last_lines,
    wait_until,
)
from support.clock import PATIENCE_SECONDS
from support.logins import PASSWORD, ROLES

HOST = "127.0.0.1"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@dataclass(frozen=True)
class Certificates:
    """An authority in `ca_file`, and what servers show; all but `right` must be refused."""

    authority: trustme.CA
    ca_file: Path
    right: trustme.LeafCert
    wrong_host: trustme.LeafCert
    expired: trustme.LeafCert
    unknown: trustme.LeafCert


def make_certificates(folder: Path) -> Certificates:
    authority, stranger = trustme.CA(), trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    return Certificates(
        authority,
        ca_file,
        right=authority.issue_cert(HOST),
        wrong_host=authority.issue_cert("other.example"),
        expired=authority.issue_cert(HOST, not_after=YESTERDAY),
        unknown=stranger.issue_cert(HOST),
    )


@contextmanager
def encrypted(
    port: int, certificate: trustme.LeafCert, *, clients: trustme.CA | None = None
) -> Iterator[int]:
    """Give a port that leads to `port`; with `clients`, only for those with its certificates."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    if clients:
        clients.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(HOST, port)
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_pump(reader, inner_writer))
                pumps.create_task(_pump(inner_reader, writer))
        finally:
            inner_writer.transport.abort()
            writer.transport.abort()

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # refused handshakes are what is tested
    thread = Thread(target=loop.run_forever, name="tls")
    thread.start()
    started = asyncio.start_server(serve, HOST, 0, ssl=context)
    server = asyncio.run_coroutine_threadsafe(started, loop).result(PATIENCE_SECONDS)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(PATIENCE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(64 * 1024):
            writer.write(chunk)
            await writer.drain()
    writer.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.sleep(0.1)  # what was aborted is closed by the loop's next rounds


@dataclass
class Webhook:
    """What arrived, in order; while `refusing` is set, everything is answered by 503."""

    port: int = 0
    received: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 0
    refusing: Event = field(default_factory=Event)
    slowness: float = 0.0  # seconds

    @property
    def url(self) -> str:
        """The address in Apprise's words, with patience: what it gives up arrives twice."""
        return f"json://127.0.0.1:{self.port}/alerts?cto={PATIENCE_SECONDS}&rto={PATIENCE_SECONDS}"

    def about(self, heading: str) -> list[str]:
        """Give those with this heading: `start` or `end`, and `end` says so in its title."""
        titles = [each["title"] for each in self.received if heading in each["title"]]
        return ["end" if title.endswith("(resolved)") else "start" for title in titles]


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Listen on a free port of loopback for the length of the block."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.attempts += 1
            Event().wait(hook.slowness)
            refused = hook.refusing.is_set()
            if not refused:
                hook.received.append(json.loads(body))
            self.send_response(503 if refused else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the output of the tests to themselves."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hook.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


WITHIN = timedelta(seconds=PATIENCE_SECONDS)


def find_program() -> Path | None:
    """Return Debian's PgBouncer, which is not on everybody's PATH."""
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    return Path(found) if found else None


@contextmanager
def pgbouncer(program: Path, database_url: str, **settings: object) -> Iterator[str]:
    """Start it, with its own defaults but for `settings`; give the URL that leads through it."""
    url = make_url(database_url)
    port = free_port()
    given = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "plain",
        "auth_file": "users",
        **settings,
    }
    lines = [f"{name} = {value}" for name, value in given.items()]
    server = f"* = host={url.host} port={url.port}"
    # PgBouncer refuses root.
    with PrivateFolder("ifood-pgbouncer", account=None if os.geteuid() else "nobody") as folder:
        known = [(url.username, url.password), *((f"ifood_{role}", PASSWORD) for role in ROLES)]
        folder.write("users", "".join(f'"{user}" "{password}"\n' for user, password in known))
        text = "\n".join(["[databases]", server, "[pgbouncer]", *lines, ""])
        config = folder.write("pgbouncer.ini", text)
        process = folder.start([program, config], env={"PATH": os.defpath}, log="log")
        try:
            assert wait_until(lambda: answers(port), within=WITHIN), last_lines(folder.path / "log")
            yield url.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        finally:
            folder.end(process, SIGINT, within=timedelta(seconds=5))
