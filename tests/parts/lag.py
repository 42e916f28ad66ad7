"""A gateway in a thread of its own, whose loop is watched: how much processor time passes between two of its turns.

Processor time of that thread and not the clock: what else the machine does is not the gateway's. It is measured against
the time that a piece of work of the same kind takes at that moment, because a core that others share takes longer for
the same. The garbage collector is set as in the process, and what the tests have made is not for it to look through.
"""

import asyncio
import gc
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from tests.parts.gateway import World, world

from lambdaagent.gateway import gc_tuning

T = TypeVar("T")
_WORK = b"[" + b"{}," * 50_000 + b"{}]"
_WORK_SECONDS = 0.003  # where a turn of 50 ms is one


def slowness() -> float:
    """How many times longer this machine takes now."""
    return max(1.0, min(_worked() for _ in range(3)) / _WORK_SECONDS)


def _worked() -> float:
    began = time.thread_time()
    orjson.loads(_WORK)
    return time.thread_time() - began


@dataclass
class Watched:
    world: World
    loop: asyncio.AbstractEventLoop
    worst: float = 0.0  # seconds, of a machine that is not slowed down
    slowness: float = 1.0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    def run(self, work: Callable[[World], Awaitable[T]]) -> T:
        """In the gateway's own loop."""

        async def call() -> T:
            return await work(self.world)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(30)

    def begin(self) -> None:
        """Forgets what was seen so far."""
        gc.freeze()
        self.worst = 0.0

    def least(self, work: Callable[[], T], *, most: float) -> T:
        """What `work` gives, done again where the loop was held for longer: a machine adds to a time and never takes.

        After it `worst` is the least of six at most. Memory that is touched for the first time is part of the first.
        """
        seen = []
        for _ in range(6):
            self.worst = 0.0
            result = work()
            seen.append(self.worst)
            if self.worst < most:
                break
            self.slowness = slowness()
        self.worst = min(seen)
        return result

    async def watch(self) -> None:
        while not self._stop.is_set():
            before = time.thread_time()
            await asyncio.sleep(0.002)
            self.worst = max(self.worst, (time.thread_time() - before) / self.slowness)


@asynccontextmanager
async def _watched(settings: dict[str, Any]) -> AsyncIterator[Watched]:
    async with world(**settings) as found:
        watched = Watched(found, asyncio.get_running_loop(), slowness=slowness())
        watching = asyncio.create_task(watched.watch())
        try:
            yield watched
        finally:
            watched._stop.set()
            await watching


@contextmanager
def watched_gateway(**settings: Any) -> Iterator[Watched]:
    started, stop = threading.Event(), threading.Event()
    made: list[Watched] = []
    failed: list[BaseException] = []

    async def serve() -> None:
        async with _watched(settings) as found:
            made.append(found)
            started.set()
            while not stop.is_set():
                await asyncio.sleep(0.02)

    def run() -> None:
        sys.settrace(None)  # measuring coverage here would take most of the time that is measured
        try:
            asyncio.run(serve())
        except BaseException as error:
            failed.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="gateway")
    thresholds = gc.get_threshold()
    thread.start()
    started.wait(20)
    try:
        if failed:
            raise failed[0]
        gc_tuning.settle()
        made[0].begin()
        yield made[0]
    finally:
        gc.set_threshold(*thresholds)
        stop.set()
        thread.join(20)
        if failed:
            raise failed[0]
