"""An agent that streams: `python -m benchmarks.streaming_agent PORT... EVERY COUNT`: the time as text, so often.

Each event is when it was sent, by the clock that all processes of a machine share. It takes no memory that matters:
asyncio's streams, one answer per connection.
"""

import asyncio
import random
import sys
import time

import uvloop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


async def serve(ports: list[int], *, every: float, count: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(HEAD)
            # Spread over the interval: a thousand events in one moment would measure the queue behind them.
            await asyncio.sleep(random.random() * every)
            for _ in range(count):
                writer.write(b"data: %d\n\n" % time.monotonic_ns())
                await writer.drain()
                await asyncio.sleep(every)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()

    servers = [await asyncio.start_server(answer, "127.0.0.1", port, backlog=1024) for port in ports]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    *ports, every, count = sys.argv[1:]
    uvloop.run(serve([int(port) for port in ports], every=float(every), count=int(count)))
