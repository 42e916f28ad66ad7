"""Fails a unit test whose callbacks hold the event loop. `tests/conftest.py` runs the loop in asyncio's debug mode."""

import asyncio
import time
from collections.abc import Iterator

import pytest

_LONGEST = 0.1
"""Seconds of the thread's processor time, which a busy machine does not lengthen."""


@pytest.fixture(autouse=True)
def no_slow_callbacks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    slow: list[str] = []
    run = asyncio.Handle._run  # type: ignore[attr-defined]

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        run(handle)
        if (seconds := time.thread_time() - began) > _LONGEST:
            owner = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
            slow.append(f"{seconds:.3f} s: {owner or handle!r}")

    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    yield
    assert not slow or request.node.get_closest_marker("holds_the_loop"), "callbacks held the event loop"
