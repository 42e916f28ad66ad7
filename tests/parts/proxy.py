"""A TCP proxy on loopback whose network a test can break: silence, refusals, resets, lost responses."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Proxy:
    def __init__(self, *ports: int) -> None:
        # Each connection goes to one target that accepts it, as a Service sends it to one of its Pods.
        self.targets = list(ports)
        self._server: asyncio.Server | None = None
        self._passing = asyncio.Event()
        self._passing.set()
        self._answering = asyncio.Event()
        self._answering.set()
        self._refusing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.connections = 0

    def partition(self) -> None:
        """Keeps connections open and accepts new ones, but passes nothing, as when a route is dropped."""
        self._passing.clear()

    def hold_answers(self) -> None:
        """Passes what the client sends and holds what the server answers; a reset() then loses it."""
        self._answering.clear()

    def heal(self) -> None:
        """Ends partition(), hold_answers() and refuse()."""
        self._refusing = False
        self._passing.set()
        self._answering.set()

    def refuse(self) -> None:
        """Closes new connections at once and resets existing ones."""
        self._refusing = True
        self.reset()

    def reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self._refusing:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        other: asyncio.StreamWriter | None = None
        try:
            back, other = await self._connect()
            self._writers.add(other)
            await asyncio.gather(
                self._copy(reader, other, self._passing), self._copy(back, writer, self._passing, self._answering)
            )
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, other):
                if end is not None:
                    self._writers.discard(end)
                    end.transport.abort()
                    with contextlib.suppress(OSError):
                        await end.wait_closed()
            self._tasks.discard(task)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        *others, last = random.sample(self.targets, len(self.targets))
        for port in others:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)
        return await asyncio.open_connection("127.0.0.1", last)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *gates: asyncio.Event) -> None:
        while data := await reader.read(65536):
            for gate in gates:
                await gate.wait()
            writer.write(data)
            await writer.drain()
        writer.transport.abort()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()


@asynccontextmanager
async def proxy(*ports: int) -> AsyncIterator[Proxy]:
    """Starts a proxy to one of these ports of this machine; a test may change `targets` later."""
    found = Proxy(*ports)
    await found.start()
    try:
        yield found
    finally:
        await found.stop()
