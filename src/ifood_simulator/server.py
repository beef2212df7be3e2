"""The simulator as a server: in the foreground, or from a thread for the length of a block."""

import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from ifood_actors.errors import UsageError
from ifood_actors.serving import Server, listen, url_of
from ifood_simulator.app import create_app
from ifood_simulator.faults import Fault
from ifood_simulator.handle import Simulator
from ifood_simulator.settings import Settings
from ifood_simulator.simulation import Simulation

_PATIENCE_SECONDS = 30.0
_IDLE_SECONDS = 75
"""How long an idle connection is kept: longer than any client's pool keeps it."""


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
    listener = listen(host, port)
    url = url_of(listener, scheme="https" if certificate else "http")
    server = _server(
        simulation, ready=lambda: ready and ready(url), certificate=certificate, key=key
    )
    server.run_until_told(listener)


@contextmanager
def running(settings: Settings) -> Iterator[Simulator]:
    """A simulator on a free loopback port, served by a thread until the block ends."""
    listener = listen("127.0.0.1", 0)
    simulation = Simulation(settings)
    started = Event()
    server = _server(simulation, ready=started.set)
    thread = Thread(target=server.run, args=([listener],), name="simulator", daemon=True)
    thread.start()
    try:
        if not started.wait(_PATIENCE_SECONDS):
            raise RuntimeError("the simulator did not start")
        yield Simulator(simulation, url_of(listener), server.loop)
    finally:
        server.should_exit = True
        thread.join(_PATIENCE_SECONDS)
        listener.close()


def _require_usable(certificate: Path, key: Path | None) -> None:
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except OSError as error:  # not there, not readable; an SSLError for what does not fit
        raise UsageError(f"--certificate {certificate}: {error.strerror}") from None


def _server(
    simulation: Simulation,
    *,
    ready: Callable[[], object],
    certificate: Path | None = None,
    key: Path | None = None,
) -> Server:
    return Server(
        create_app(simulation),
        keep_alive=_IDLE_SECONDS,
        log_level="critical",  # cut answers are meant, and no error
        ready=ready,
        certificate=certificate,
        key=key,
    )
