"""The streams that this process is writing, so that they end properly and at once when it stops.

Otherwise each of them would hold up the shutdown until it is cut; ended, their clients go on at another replica.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

PING_SECONDS = 15.0  # proxies end a connection that is silent for a minute, some for half of one


class Streams:
    """Each one's task is its request's."""

    def __init__(self, *, ping: float = PING_SECONDS) -> None:
        self.ping = ping
        self.stopping = False
        self._tasks: set[asyncio.Task[object]] = set()

    @property
    def open(self) -> int:
        return len(self._tasks)

    @contextmanager
    def one(self) -> Iterator[asyncio.Task[object]]:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a stream is written by a task")
        self._tasks.add(task)
        try:
            yield task
        finally:
            self._tasks.discard(task)

    def stop(self) -> None:
        self.stopping = True
        for task in self._tasks:
            task.cancel()
