"""
A TCP proxy that lets a test be the network: cut, refuse, hold, swallow, slow, and act on bytes.

One proxy stands before one service for one process of the fleet, so that what passes tells who did
it. It lives on a loop of its own; every method may be called from any thread.
"""

import asyncio
import ctypes
import re
import socket
import struct
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Event, Lock, Thread
from typing import Any, Literal, TypeVar

T = TypeVar("T")

Direction = Literal["up", "down"]  # to the service, and back from it
Seen = Callable[[re.Match[bytes]], None]

_CHUNK = 64 * 1024
_TAIL = 256  # bytes kept, so that a pattern is found across two chunks
_PATIENCE = 30.0

_SO_ATTACH_FILTER = 26  # of Linux
# Classic BPF with one instruction, "accept 0 bytes": the kernel drops every segment that arrives,
# unacknowledged, as if the cable were cut.
_DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0), 8)
_DROPPING = struct.pack("HL", 1, ctypes.addressof(_DROP_ALL))


class Mode(StrEnum):
    """What becomes of bytes and of new connections."""

    PASS = "pass"
    HOLD = "hold"  # nothing moves, until it passes again
    REFUSE = "refuse"  # new connections are closed at once; old ones go on
    SWALLOW = "swallow"  # what goes up vanishes, as on a network that is about to break


@dataclass(eq=False)
class Trigger:
    """
    Acts once, when `patterns` have passed one after the other on one connection.

    With `when` "before" the last of them is kept back and the connection cut; with "after" it has
    been handed over. `action` is told the name of the proxy at which it happened. A trigger may be
    armed at several proxies: the first that meets it acts.
    """

    patterns: tuple[bytes, ...]
    direction: Direction
    when: Literal["before", "after"]
    action: Callable[[str], object]
    fired: Event = field(default_factory=Event)
    _once: Lock = field(default_factory=Lock)

    def fire(self, where: str) -> None:
        if self._once.acquire(blocking=False):
            self.action(where)
            self.fired.set()


class Proxy:
    """Listens on a free loopback port for one service, until it is closed."""

    def __init__(self, name: str, *, host: str, port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.name = name
        self.delay = 0.0  # seconds, for each chunk
        self._service = (host, port)
        self._loop = loop
        self._mode = Mode.PASS
        self._moving = asyncio.Event()
        self._moving.set()
        self._links: set[_Link] = set()
        self._triggers: list[Trigger] = []
        self._watched: list[tuple[re.Pattern[bytes], Seen]] = []
        self._server = self._call(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def set(self, mode: Mode) -> None:
        self._mode = mode
        act = self._moving.clear if mode is Mode.HOLD else self._moving.set
        self._do(act)

    def cut(self) -> None:
        """Reset all connections, now."""
        self._do(lambda: self._each(_Link.abort))

    def blackhole(self) -> None:
        """Half-open all connections: no segment arrives any more on either side, or is answered."""
        self._do(lambda: self._each(_Link.drop_all))

    def arm(self, trigger: Trigger) -> None:
        self._do(lambda: self._triggers.append(trigger))

    def watch(self, pattern: bytes, seen: Seen) -> None:
        """Tell of every match in what goes up; for text that one chunk holds."""
        self._do(lambda: self._watched.append((re.compile(pattern), seen)))

    def heal(self) -> None:
        """Pass again, with no triggers; half-open connections stay what they are."""
        self.delay = 0.0
        self._do(self._triggers.clear)
        self.set(Mode.PASS)

    @property
    def connections(self) -> int:
        return len(self._links)

    def close(self) -> None:
        self.cut()
        self._do(self._server.close)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode is Mode.REFUSE:
            writer.transport.abort()
            return
        try:
            answers, service = await asyncio.open_connection(*self._service)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(client=writer, service=service)
        self._links.add(link)
        # Either side may end at any time; then both do.
        with suppress(OSError):
            await asyncio.wait(
                [
                    asyncio.ensure_future(self._pump(link, reader, service, "up")),
                    asyncio.ensure_future(self._pump(link, answers, writer, "down")),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
        link.abort()
        self._links.discard(link)

    async def _pump(
        self,
        link: "_Link",
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        direction: Direction,
    ) -> None:
        with suppress(OSError):
            while chunk := await source.read(_CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._moving.wait()
                if self._mode is Mode.SWALLOW and direction == "up":
                    continue
                if not await self._hand_over(link, chunk, target, direction):
                    return
            # A last answer may still be on its way to a client that has stopped sending.

    async def _hand_over(
        self, link: "_Link", chunk: bytes, target: asyncio.StreamWriter, direction: Direction
    ) -> bool:
        """Forward a chunk, or act on it; False when the connection is to end."""
        if direction == "up":
            for pattern, seen in self._watched:
                for match in pattern.finditer(chunk):
                    seen(match)
        met, kept = link.met(self._triggers, chunk, direction)
        if met and met.when == "before":
            target.write(chunk[:kept])
            await target.drain()
            met.fire(self.name)
            return False
        target.write(chunk)
        await target.drain()
        if met:
            met.fire(self.name)
        return True

    def _each(self, act: Callable[["_Link"], None]) -> None:
        for link in self._links:
            act(link)

    def _do(self, act: Callable[[], object]) -> None:
        async def do() -> None:
            act()

        self._call(do())

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)


class _Link:
    """One connection of a client, and ours to the service for it."""

    def __init__(self, *, client: asyncio.StreamWriter, service: asyncio.StreamWriter) -> None:
        self._ends = (client, service)
        self._searches: dict[Trigger, _Search] = {}

    def met(
        self, triggers: list[Trigger], chunk: bytes, direction: Direction
    ) -> tuple[Trigger | None, int]:
        """Give the trigger that this chunk completes, and how much of the chunk comes before."""
        for trigger in triggers:
            if trigger.direction != direction or trigger.fired.is_set():
                continue
            search = self._searches.setdefault(trigger, _Search(trigger.patterns))
            kept = search.feed(chunk)
            if kept is not None:
                return trigger, kept
        return None, 0

    def abort(self) -> None:
        for end in self._ends:
            end.transport.abort()

    def drop_all(self) -> None:
        for end in self._ends:
            plug = end.get_extra_info("socket")
            plug.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _DROPPING)


class _Search:
    """Looks for patterns, one after the other, in a stream."""

    def __init__(self, patterns: tuple[bytes, ...]) -> None:
        self._left = [re.compile(pattern, re.DOTALL) for pattern in patterns]
        self._tail = b""

    def feed(self, chunk: bytes) -> int | None:
        """Give where in the chunk the last pattern begins; None before that."""
        text, begin = self._tail + chunk, 0
        while self._left and (match := self._left[0].search(text, begin)):
            self._left.pop(0)
            begin = match.end()
            if not self._left:
                return max(0, match.start() - len(self._tail))
        self._tail = text[begin:][-_TAIL:]
        return None


@contextmanager
def network() -> Iterator[asyncio.AbstractEventLoop]:
    """Run the loop that proxies live on."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="network", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        loop.close()
