"""The simulator as a server: in the foreground, or from a thread for the length of a block."""

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from types import FrameType

import uvicorn

from ifood_simulator.app import create_app
from ifood_simulator.errors import UsageError
from ifood_simulator.faults import Fault
from ifood_simulator.handle import Simulator
from ifood_simulator.settings import Settings
from ifood_simulator.simulation import Simulation

_PATIENCE_SECONDS = 30.0
_IDLE_SECONDS = 75
"""How long an idle connection is kept: longer than any client's pool keeps it."""
_GRACE_SECONDS = 2
"""How long slow answers may delay the end."""


def serve(
    settings: Settings,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    faults: Iterable[Fault] = (),
    ready: Callable[[str], None] | None = None,
) -> None:
    """
    Serve in the foreground until TERM or INT; a second signal stops at once.

    With a `certificate` (PEM) it speaks https; the `key` may be in the same file. `faults` are on
    from the start. `ready` is called with the URL once connections are accepted; port 0 takes a
    free one. Raises UsageError when the address cannot be listened on, the certificate not be
    used, or a fault is for an unknown merchant. Main thread only.
    """
    try:
        simulation = Simulation(settings, faults)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if certificate:
        _require_usable(certificate, key)
    listener = _listen(host, port)
    url = _url_of(listener, scheme="https" if certificate else "http")
    server = _Server(
        simulation, ready=lambda: ready and ready(url), certificate=certificate, key=key
    )
    with listener, server.stopped_by_signals():
        server.run(sockets=[listener])


@contextmanager
def running(settings: Settings) -> Iterator[Simulator]:
    """Serve on a free loopback port, from a thread, until the block ends."""
    simulation = Simulation(settings)
    started = Event()
    server = _Server(simulation, ready=started.set)
    with _listen("127.0.0.1", 0) as listener:
        thread = Thread(target=server.run, args=([listener],), name="simulator", daemon=True)
        thread.start()
        try:
            if not started.wait(_PATIENCE_SECONDS):
                raise RuntimeError("the simulator did not start")
            yield Simulator(simulation, _url_of(listener), server.loop)
        finally:
            server.should_exit = True
            thread.join(_PATIENCE_SECONDS)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which end the process by the signal, not with 0."""

    loop: asyncio.AbstractEventLoop

    def __init__(
        self,
        simulation: Simulation,
        *,
        ready: Callable[[], object],
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        config = uvicorn.Config(
            create_app(simulation),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
            log_level="critical",  # cut answers are meant, and no error
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        await super().startup(None if sockets is None else list(sockets))
        self.loop = asyncio.get_running_loop()
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """End the server by TERM or INT, at once by a second signal."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self.force_exit = self.should_exit
            self.should_exit = True

        former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def _require_usable(certificate: Path, key: Path | None) -> None:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except OSError as error:  # not there, not readable; an SSLError for what does not fit
        raise UsageError(f"--certificate {certificate}: {error.strerror}") from None


def _listen(host: str, port: int) -> socket.socket:
    """Take an address, port 0 a free one; raises UsageError when that fails."""
    try:
        # By its protocol, since asyncio sets TCP_NODELAY only on sockets that name theirs.
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"cannot listen on {host}:{port}: {reason}; choose another address"
        ) from error
    return listener


def _url_of(listener: socket.socket, *, scheme: str = "http") -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
