"""The simulator as a server: in the foreground, or from a thread for the length of a block."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from types import FrameType

import uvicorn

from ifood_actors.errors import UsageError
from ifood_actors.simulator.app import create_app
from ifood_actors.simulator.handle import Simulator
from ifood_actors.simulator.quirks import Quirk
from ifood_actors.simulator.settings import Settings
from ifood_actors.simulator.simulation import Simulation

_PATIENCE_SECONDS = 30.0
_IDLE_SECONDS = 75
"""How long an idle connection is kept: longer than any client's pool keeps it."""
_GRACE_SECONDS = 2
"""How long slow answers may hold up the end."""


def serve(
    settings: Settings,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    quirks: Iterable[Quirk] = (),
    ready: Callable[[str], None] | None = None,
) -> None:
    """
    Serve in the foreground until TERM or INT; a second signal stops at once.

    `quirks` are on from the start. `ready` is called with the URL once connections are accepted;
    port 0 takes a free one. Raises UsageError when the address cannot be listened on, or a quirk
    is for an unknown merchant. Main thread only.
    """
    try:
        simulation = Simulation(settings, quirks)
    except ValueError as error:
        raise UsageError(str(error)) from None
    listener = _listen(host, port)
    server = _Server(simulation, ready=lambda: ready and ready(_url(listener)))

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.force_exit = server.should_exit
        server.should_exit = True

    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def running(settings: Settings) -> Iterator[Simulator]:
    """A simulator on a free loopback port, served by a thread until the block ends."""
    listener = _listen("127.0.0.1", 0)
    simulation = Simulation(settings)
    started = Event()
    server = _Server(simulation, ready=started.set)
    thread = Thread(target=server.run, args=([listener],), name="simulator", daemon=True)
    thread.start()
    try:
        if not started.wait(_PATIENCE_SECONDS):
            raise RuntimeError("the simulator did not start")
        yield Simulator(simulation, _url(listener), server.loop)
    finally:
        server.should_exit = True
        thread.join(_PATIENCE_SECONDS)
        listener.close()


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which end the process by the signal, not with 0."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, simulation: Simulation, *, ready: Callable[[], object]) -> None:
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


def _listen(host: str, port: int) -> socket.socket:
    try:
        # By its protocol, since asyncio sets TCP_NODELAY only on sockets that name theirs.
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _unusable(host, port, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise _unusable(host, port, error) from error
    return listener


def _unusable(host: str, port: int, error: OSError) -> UsageError:
    reason = error.strerror or str(error)
    return UsageError(f"cannot listen on {host}:{port}: {reason}; choose another address")


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
