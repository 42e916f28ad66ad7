"""Lines of standard input and output, as messages over stdio have them, without blocking the event loop."""

import asyncio
import os
import queue
import threading
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from contextlib import asynccontextmanager, suppress

LINE = 16 * 1024 * 1024  # bytes; of a longer line, only the beginning is kept
_CHUNK = 64 * 1024
_AHEAD = 16  # lines that are read before the ones before them are handled


@asynccontextmanager
async def lines() -> AsyncIterator[AsyncIterator[bytes]]:
    """Read lines in a thread: standard input may be a file or a terminal, and no read of it can be cancelled."""
    loop, found = asyncio.get_running_loop(), asyncio.Queue[bytes](_AHEAD)

    def put(line: bytes) -> None:
        asyncio.run_coroutine_threadsafe(found.put(line), loop).result()

    def read() -> None:
        # Not by sys.stdin: the interpreter cannot end while a thread waits with its lock.
        with suppress(RuntimeError, CancelledError, OSError):  # the loop is over, or the input
            rest = bytearray()
            while chunk := os.read(0, _CHUNK):
                first, *more = chunk.split(b"\n")
                if len(rest) <= LINE:
                    rest += first
                for each in more:
                    if rest.strip():
                        put(bytes(rest))
                    rest = bytearray(each)
            if rest.strip():
                put(bytes(rest))
            put(b"")

    async def each() -> AsyncIterator[bytes]:
        while line := await found.get():
            yield line

    threading.Thread(target=read, name="mcp-stdin", daemon=True).start()
    yield each()


class Output:
    """Writes whole lines in a thread, one after another. A host that does not read blocks the thread, and no write can
    be cancelled, so the end of the process does not wait for it.
    """

    def __init__(self) -> None:
        self._lines = queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]]()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, name="mcp-stdout", daemon=True).start()

    async def write(self, data: bytes) -> None:
        """Return when the line is written."""
        written = self._loop.create_future()
        self._lines.put((data, written))
        await written

    def _run(self) -> None:
        # Not by sys.stdout: the interpreter cannot end while a thread waits with its lock.
        with suppress(RuntimeError):  # the loop is over
            while True:
                data, written = self._lines.get()
                with suppress(OSError):  # the host is gone, and its input ends next
                    while data:
                        data = data[os.write(1, data) :]
                self._loop.call_soon_threadsafe(_resolve, written)


def _resolve(written: "asyncio.Future[None]") -> None:
    if not written.done():
        written.set_result(None)
