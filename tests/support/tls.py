"""Throw-away certificates, and TLS in front of a service that has none."""

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import trustme

from support.eventually import PATIENCE_SECONDS

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
