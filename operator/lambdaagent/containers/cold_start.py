"""Repeats connecting to a container that may be starting; without a connection nothing was sent."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from lambdaagent.backoff import Backoff
from lambdaagent.httpclient.errors import ConnectError

COLD_START_SECONDS = 10.0
Result = TypeVar("Result")


async def until_connected(
    attempt: Callable[[float], Awaitable[Result]], *, seconds: float, patience: float = COLD_START_SECONDS
) -> Result:
    """Call `attempt` with the seconds left until it connects. Raises ConnectError after `patience` seconds."""
    backoff, begun, left = Backoff(first=0.1, cap=2.0), time.monotonic(), seconds
    while True:
        try:
            return await attempt(left)
        except ConnectError:
            wait = backoff.next()
            if time.monotonic() - begun + wait >= min(patience, seconds):
                raise
            await asyncio.sleep(wait)
            left = round(seconds - (time.monotonic() - begun), 1)
