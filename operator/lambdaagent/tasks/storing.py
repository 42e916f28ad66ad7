"""Writes that an unreachable store does not lose: they are repeated until they are known to be committed or impossible.

Invariant: an attempt whose answer was lost may have been committed, so `work` must find out whether it was before it
writes again. Hazard: each waiting caller keeps its data in memory.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.store.errors import SealedValueError, StoreError, StoreFullError, TaskConflictError, UnfitError

Result = TypeVar("Result")
log = structlog.get_logger(__name__)

FOR_EVER = float("inf")
# A value that cannot be decrypted now cannot be in a second either.
_DECIDED = (TaskConflictError, StoreFullError, UnfitError, SealedValueError)


async def until_written(
    work: Callable[[], Awaitable[Result]], *, patience: float, waits: Callable[[], None] | None = None
) -> Result:
    """Repeat `work` with pauses for up to `patience` seconds while the store is unreachable, then raise its StoreError.

    `waits` is called once, after the first failure.
    """
    backoff: Backoff | None = None
    deadline = 0.0
    while True:
        try:
            return await work()
        except _DECIDED:
            raise
        except StoreError as error:
            now = asyncio.get_running_loop().time()
            if backoff is None:
                log.info("store.write_failed", error=str(error))
                backoff, deadline = Backoff(first=0.1, cap=1.0), now + patience
                if waits is not None:
                    waits()
            pause = backoff.next()
            if now + pause > deadline:
                raise
        await asyncio.sleep(pause)
