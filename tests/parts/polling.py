"""Waiting for what another process or task does: a check is repeated until its result is true or a deadline passes.

Both functions return the first true result. At the deadline they raise AssertionError, whose message holds the last
result. A check that raises LookupError counts as not yet true: what it reads does not exist yet.
"""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

What = str | Callable[[], str]


async def eventually(check: Callable[[], Any], *, within: float = 60, what: What = "", in_thread: bool = False) -> Any:
    """Repeats `check` for `within` seconds at most and returns its first true result.

    An awaitable result is awaited. A check that blocks, such as a request, goes into a thread with `in_thread`, so that
    the event loop is free meanwhile. `what` names in the error what did not happen.
    """
    deadline = _Deadline(check, within, what)
    while not (result := await _checked(check, in_thread)):
        await asyncio.sleep(deadline.pause(result))
    return result


def wait(check: Callable[[], Any], *, within: float = 60, what: What = "") -> Any:
    """Does the same outside an event loop; the result of the check must not be awaitable."""
    deadline = _Deadline(check, within, what)
    while not (result := _lookup(check)):
        time.sleep(deadline.pause(result))
    return result


async def _checked(check: Callable[[], Any], in_thread: bool) -> Any:
    result = await asyncio.to_thread(_lookup, check) if in_thread else _lookup(check)
    if not inspect.isawaitable(result):
        return result
    try:
        return await result
    except LookupError:
        return None


def _lookup(check: Callable[[], Any]) -> Any:
    try:
        return check()
    except LookupError:
        return None


class _Deadline:
    def __init__(self, check: Callable[[], Any], within: float, what: What) -> None:
        self._check, self._within, self._what = check, within, what
        self._began = time.monotonic()

    def pause(self, result: Any) -> float:
        """Returns the seconds until the next check, which grow with the wait: each check takes time from the others."""
        waited = time.monotonic() - self._began
        if waited >= self._within:
            what = self._what() if callable(self._what) else self._what
            raise AssertionError(f"not within {self._within} s: {what or self._check}; last result: {result!r}")
        return min(0.1, max(0.01, waited / 20))
