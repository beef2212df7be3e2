"""The few calls to RabbitMQ's management API that starting and testing need."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from urllib.parse import quote

from ifood_actors.errors import ServiceUnavailable


class Management:
    """RabbitMQ's management API, of this machine unless another host is named."""

    def __init__(self, port: int, *, user: str, password: str, host: str = "127.0.0.1") -> None:
        self.port = port
        self._host = host
        credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {credentials}",
            "Content-Type": "application/json",
        }
        self._user = user

    @contextmanager
    def vhost(self, name: str) -> Iterator[None]:
        """Create a virtual host in which the user may do everything, and delete it at the end."""
        vhost = quote(name, safe="")
        self.call("PUT", f"/api/vhosts/{vhost}", {"default_queue_type": "classic"})
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self.call("PUT", f"/api/permissions/{vhost}/{self._user}", everything)
        try:
            yield
        finally:
            self.delete_vhost(name)

    def delete_vhost(self, name: str) -> None:
        """Delete a virtual host, its queues and its connections."""
        self.call("DELETE", f"/api/vhosts/{quote(name, safe='')}")

    def get(self, path: str) -> object:
        """Return the JSON of a path such as `/api/queues`."""
        return json.loads(self.call("GET", path))

    def call(self, method: str, path: str, body: object = None) -> bytes:
        """Send a request with `body` as JSON; raises ServiceUnavailable with what RabbitMQ said."""
        connection = HTTPConnection(self._host, self.port, timeout=60)
        try:
            payload = json.dumps(body) if body is not None else None
            connection.request(method, path, payload, self._headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, HTTPException) as error:
            raise ServiceUnavailable(f"RabbitMQ's management API: {error}") from error
        finally:
            connection.close()
        if response.status >= 400:  # noqa: PLR2004 - HTTP: everything from 400 on is a failure
            text = answer.decode(errors="replace")[:300]
            raise ServiceUnavailable(f"RabbitMQ's management API: {method} {path}: {text}")
        return answer
