"""A place where alerts arrive: a real HTTP server that keeps what it got, and can refuse."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from support.eventually import PATIENCE_SECONDS


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
