"""uvicorn as the web process wants it."""

import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from ifood_actors.errors import UsageError

_GRACE_SECONDS = 2  # for which slow answers may delay the end
_KEEP_ALIVE_SECONDS = 65  # longer than a scraper's interval


class Server(uvicorn.Server):
    """uvicorn without its signal handlers, which end the process by the signal, not with 0."""

    def __init__(self, app: ASGIApp, *, ready: Callable[[], object]) -> None:
        """`ready` is called once connections are accepted."""
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
            log_level="warning",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        await super().startup(None if sockets is None else list(sockets))
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def run_until_told(self, listener: socket.socket) -> None:
        """Serve until TERM or INT; a second signal stops at once. Main thread only."""

        def stop(_number: int, _frame: FrameType | None) -> None:
            self.force_exit = self.should_exit
            self.should_exit = True

        former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self.run(sockets=[listener])
        finally:
            listener.close()
            for number, handler in former.items():
                signal.signal(number, handler)


def listen(host: str, port: int) -> socket.socket:
    """Give a socket bound to an address, port 0 is a free one. Raises UsageError if it fails."""
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


def url_of(listener: socket.socket) -> str:
    """Give the URL at which a bound socket is reached, such as `http://127.0.0.1:8000`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _unusable(host: str, port: int, error: OSError) -> UsageError:
    reason = error.strerror or str(error)
    return UsageError(f"cannot listen on {host}:{port}: {reason}; choose another address")
