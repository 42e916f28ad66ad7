"""Writes that a store which is away does not lose: tried again until they are known to be written or impossible.

Invariant: an attempt whose answer was lost may have been committed, so `work` must find out by itself whether it was
before it writes again. Hazard: whoever waits here holds what it wants to write in memory.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.store.errors import ConflictError, StoreError, StoreFullError, UnfitError

Result = TypeVar("Result")
log = structlog.get_logger(__name__)

FOR_EVER = float("inf")
_DECIDED = (ConflictError, StoreFullError, UnfitError)


async def until_written(
    work: Callable[[], Awaitable[Result]], *, patience: float, waits: Callable[[], None] | None = None
) -> Result:
    """Repeats `work` with pauses for up to `patience` seconds while the store is away; then raises its StoreError.

    `waits` is called once, after the first failure.
    """
    try:
        return await work()
    except _DECIDED:
        raise
    except StoreError as error:
        problem = error
    if waits is not None:
        waits()
    loop = asyncio.get_running_loop()
    backoff, deadline = Backoff(first=0.1, cap=1.0), loop.time() + patience
    log.info("store.write_waits", reason=str(problem))
    while True:
        pause = backoff.next()
        if loop.time() + pause > deadline:
            raise problem
        await asyncio.sleep(pause)
        try:
            return await work()
        except _DECIDED:
            raise
        except StoreError as error:
            problem = error
