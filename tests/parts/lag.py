"""A gateway in a thread of its own, and the lag of its event loop: the processor time between two turns.

It is the processor time of that thread, because other work on the machine is not the gateway's. It is divided by how
much longer a piece of similar work takes at that moment, because a core that others share is slower. The garbage
collector is tuned as in the process and does not visit the objects of the tests.
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
MOST_LAG = 0.05  # seconds of processor time in one turn of the loop
_WORK = b"[" + b"{}," * 50_000 + b"{}]"
_WORK_SECONDS = 0.003  # on a machine where a turn of 50 ms takes 50 ms


def slowness() -> float:
    """Returns how many times longer work takes on this machine now than on an idle one; at least 1."""
    return max(1.0, min(_worked() for _ in range(3)) / _WORK_SECONDS)


def _worked() -> float:
    began = time.thread_time()
    orjson.loads(_WORK)
    return time.thread_time() - began


@dataclass
class Watched:
    world: World
    loop: asyncio.AbstractEventLoop
    worst: float = 0.0  # seconds of an idle machine
    slowness: float = 1.0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    def run(self, work: Callable[[World], Awaitable[T]]) -> T:
        """Runs a coroutine in the gateway's loop and returns its result."""

        async def call() -> T:
            return await work(self.world)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(30)

    def begin(self) -> None:
        """Resets the measurement."""
        gc.freeze()
        self.worst = 0.0

    def least(self, work: Callable[[], T], *, most: float) -> T:
        """Returns the result of `work`, which it repeats while the lag exceeds `most`, six times at most.

        Then `worst` is the least lag of the attempts: other work on the machine adds to a time and never reduces it,
        and the first attempt also touches new memory.
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
        sys.settrace(None)  # coverage would take most of the measured time
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
