"""Waiting for what another process or task does: asked again and again up to a deadline, never slept for."""

import asyncio
import time
from collections.abc import Callable
from typing import Any


def holds(condition: Callable[[], Any]) -> Any:
    """Its answer; where what it looks into is not there yet, None."""
    try:
        return condition()
    except LookupError:
        return None


async def eventually(condition: Callable[[], object], *, within: float = 20, what: str = "") -> None:
    deadline = time.monotonic() + within
    while not holds(condition):
        assert time.monotonic() < deadline, f"not within {within} s: {what or condition}"
        await asyncio.sleep(0.01)
