"""Fails a unit test whose callbacks hold the event loop. `tests/conftest.py` runs the loop in asyncio's debug mode.

A callback is measured by the thread's processor time, which a busy machine does not lengthen, without the collections
of garbage that happen to fall into it: they grow with the tests that ran before.
"""

import asyncio
import gc
import time
from collections.abc import Iterator

import pytest

_LONGEST = 0.25  # seconds; debug mode and processors that share a core double it


@pytest.fixture(autouse=True)
def no_slow_callbacks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    slow: list[str] = []
    collecting, began_collecting = 0.0, 0.0
    run = asyncio.Handle._run  # type: ignore[attr-defined]

    def collected(phase: str, _: object) -> None:
        nonlocal collecting, began_collecting
        if phase == "start":
            began_collecting = time.thread_time()
        else:
            collecting += time.thread_time() - began_collecting

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time() - collecting
        run(handle)
        if (seconds := time.thread_time() - collecting - began) > _LONGEST:
            owner = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
            slow.append(f"{seconds:.3f} s: {owner or handle!r}")

    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    gc.callbacks.append(collected)
    yield
    gc.callbacks.remove(collected)
    assert not slow or request.node.get_closest_marker("holds_the_loop"), "callbacks held the event loop"
