"""Waiting for what another process or task does: asked again and again up to a deadline, never slept for."""

import asyncio
import inspect
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
    """The condition may be one to await. It is asked less and less often: what takes long needs no answer to the
    hundredth, and looking costs those that work."""
    began = time.monotonic()
    while not await _answer(condition):
        waited = time.monotonic() - began
        assert waited < within, f"not within {within} s: {what or condition}"
        await asyncio.sleep(min(0.1, max(0.01, waited / 20)))


async def _answer(condition: Callable[[], object]) -> object:
    answer = holds(condition)
    return await answer if inspect.isawaitable(answer) else answer
