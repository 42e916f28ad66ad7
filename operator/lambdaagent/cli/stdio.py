"""Lines of standard input and output, as messages over stdio have them, without blocking the event loop."""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

LINE = 16 * 1024 * 1024  # bytes; of a longer line, only the beginning is kept
_CHUNK = 64 * 1024
_AHEAD = 16  # lines that are read before the ones before them are handled


@asynccontextmanager
async def lines() -> AsyncIterator[AsyncIterator[bytes]]:
    """Read lines in a thread: standard input may be a file or a terminal, and no read of it can be cancelled."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[bytes](_AHEAD)

    def put(line: bytes) -> None:
        asyncio.run_coroutine_threadsafe(queue.put(line), loop).result()

    def read() -> None:
        # Not by sys.stdin: the interpreter cannot end while a thread waits with its lock.
        with suppress(RuntimeError, OSError):  # the loop is over, or the input
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
        while line := await queue.get():
            yield line

    threading.Thread(target=read, name="mcp-stdin", daemon=True).start()
    yield each()


def write(data: bytes) -> None:
    with suppress(BrokenPipeError):  # the host is gone, and its input ends next
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
