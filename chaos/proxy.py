"""A TCP proxy on [::1] that makes a network bad: connections that end in the middle of something, and latency."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from local.server import HOST

CHUNK = 65_536  # bytes
QUEUED = 1000  # chunks under way, each way
LINGER_SECONDS = 0.01
"""From the last byte of a connection that is cut to its end: so that the server is left with half a request."""

Chunks = asyncio.Queue[tuple[float, bytes]]


class Proxy:
    """Passes everything on between its clients and one server on [::1], until told to do worse.

    It runs in a thread of its own. Where the server is away, it ends the connection at once.
    """

    def __init__(self, port: int, server: int) -> None:
        self.port = port
        self._server = server
        self._latency = 0.0
        self._links: set[_Link] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy {port}", daemon=True)

    def start(self) -> None:
        """Listens from now on."""
        self._thread.start()
        self._listener = self._run(asyncio.start_server(self._accept, HOST, self.port))

    def delay(self, seconds: float) -> None:
        """From now on what comes, from either side, is passed on so much later; 0: no latency."""
        self._latency = seconds

    def cut(self, after: int = 0) -> int:
        """Ends every connection that is open now: in the middle of what its client sends, after so many more bytes of
        it. Connections made later are well. Returns how many it ends."""

        async def cut() -> int:
            links = list(self._links)
            for link in links:
                link.end_after(after)
            return len(links)

        return int(self._run(cut()))

    def close(self) -> None:
        """Ends all connections and listens no more."""

        async def end() -> None:
            if self._listener is not None:
                self._listener.close()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self._run(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _accept(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection(HOST, self._server)
        except OSError:
            to_client.transport.abort()
            return
        link = _Link(to_client, to_server)
        self._links.add(link)
        there: Chunks = asyncio.Queue(QUEUED)
        back: Chunks = asyncio.Queue(QUEUED)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._receive(from_client, there, link.take))
                tasks.create_task(_deliver(there, to_server))
                tasks.create_task(self._receive(from_server, back, bytes))
                tasks.create_task(_deliver(back, to_client))
        except* (OSError, _Over):
            pass
        finally:
            link.abort()
            self._links.discard(link)

    async def _receive(self, source: asyncio.StreamReader, chunks: Chunks, take: Callable[[bytes], bytes]) -> None:
        """Takes in what comes, with the moment at which to pass it on; nothing: the connection is over."""
        data = b"first"
        while data:
            data = await source.read(CHUNK)
            await chunks.put((asyncio.get_running_loop().time() + self._latency, take(data)))


class _Over(Exception):
    """One side has ended the connection."""


class _Link:
    """One connection through the proxy."""

    def __init__(self, to_client: asyncio.StreamWriter, to_server: asyncio.StreamWriter) -> None:
        self._ends = (to_client, to_server)
        self._left: int | None = None

    def end_after(self, count: int) -> None:
        self._left = count
        if count == 0:
            self.abort()

    def take(self, data: bytes) -> bytes:
        """What is still passed on of what the client sends."""
        if self._left is None:
            return data
        part, self._left = data[: self._left], max(0, self._left - len(data))
        if self._left == 0:
            asyncio.get_running_loop().call_later(LINGER_SECONDS, self.abort)
        return part

    def abort(self) -> None:
        for end in self._ends:
            end.transport.abort()


async def _deliver(chunks: Chunks, target: asyncio.StreamWriter) -> None:
    while True:
        due, data = await chunks.get()
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        if not data:
            raise _Over
        target.write(data)
        await target.drain()
