"""The network between two programs, on request a bad one: a TCP proxy on a thread of its own.

What it does with the octets is its `way`, which may change at any moment and then holds for all its
connections, in both directions. A swallowed octet never comes again, so connections that have lost
some are cut when the way changes, as a firewall does that has forgotten them.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Set
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

T = TypeVar("T")

Way = Literal["pass", "delay", "hold", "swallow", "mute", "trickle"]
"""`mute` swallows only what the target says: it hears everything, and nobody hears it."""

DELAY = 0.3
"""Seconds that `delay` keeps what one read brought; a round trip then takes up to four times as long."""

SLICE = 24
"""Octets that `trickle` lets through at a time: no PDU and no frame arrives whole."""

SLICE_PAUSE = 0.001
LAST_WORDS = 1.0
"""Seconds from the end of one direction to the end of the other, which may have something left to say."""

CHUNK = 65_536


@dataclass(eq=False)
class Pair:
    """One connection through the proxy: both its sides."""

    sides: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    lossy: bool = False
    pumps: list[asyncio.Task[None]] = field(default_factory=list)

    def abort(self) -> None:
        for pump in self.pumps:
            pump.cancel()
        for side in self.sides:
            side.transport.abort()


class Proxy:
    """Listens on `port` of the loopback interface and connects to `target` there."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._way: Way = "pass"
        self._pairs: set[Pair] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self.port = self._call(self._listen())

    def behave(self, way: Way) -> None:
        """From now on, until the next call."""
        self._call(self._behave(way))

    def cut(self) -> None:
        """Every connection is gone at once, with what was under way in it."""
        self._call(self._cut())

    def close(self) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- on the thread

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self) -> int:
        self._changed = asyncio.Event()
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _behave(self, way: Way) -> None:
        self._way = way
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        for pair in [each for each in self._pairs if each.lossy]:
            self._drop(pair)

    async def _cut(self) -> None:
        for pair in list(self._pairs):
            self._drop(pair)

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        await asyncio.sleep(0)  # for the pumps to end

    def _drop(self, pair: Pair) -> None:
        self._pairs.discard(pair)
        pair.abort()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = Pair((writer, there_writer))
        self._pairs.add(pair)
        pair.pumps = [
            asyncio.create_task(self._pump(pair, reader, there_writer, {"swallow"})),
            asyncio.create_task(self._pump(pair, there_reader, writer, {"swallow", "mute"})),
        ]

    async def _pump(
        self, pair: Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, deaf: Set[Way]
    ) -> None:
        """One direction. In the ways `deaf` nothing gets through in it."""
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                if self._way in deaf:
                    pair.lossy = True
                else:
                    await self._carry(data, writer)
        while self._way in deaf | {"hold"}:  # the end of a connection does not get through either
            await self._changed.wait()
        with contextlib.suppress(OSError):
            writer.write_eof()
        self._loop.call_later(LAST_WORDS, self._drop, pair)

    async def _carry(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        while self._way == "hold":
            await self._changed.wait()
        if self._way == "delay":
            await asyncio.sleep(DELAY)
        while data and self._way == "trickle":
            writer.write(data[:SLICE])
            data = data[SLICE:]
            await writer.drain()
            await asyncio.sleep(SLICE_PAUSE)
        writer.write(data)
        await writer.drain()
