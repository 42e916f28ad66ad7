"""A store whose operations fail, or whose responses are lost, as a test says; it passes all others to another store."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from lambdaagent.store.errors import StoreError
from lambdaagent.store.records import Push, TaskRecord
from lambdaagent.tasks.push_delivery import EngineStore

WRITES = frozenset(("create", "append", "put_push", "beat"))


class Flaky:
    """Operations in `away` raise and do nothing; those in `lost` are done and raise; those in `held_up` wait for heal.

    The numbers of `away` and `lost` count down to zero, where an operation succeeds again.
    """

    def __init__(self, inner: EngineStore, *, shared: bool | None = None, deaf: bool = False) -> None:
        self._inner = inner
        self.shared = inner.shared if shared is None else shared
        self._deaf = deaf
        self.away: dict[str, float] = {}
        self.lost: dict[str, float] = {}
        self.held_up: frozenset[str] = frozenset()
        self._healed = asyncio.Event()
        self.missed: Callable[[], None] = lambda: None
        self.done: list[str] = []

    def fail(self, *operations: str, times: float = float("inf")) -> None:
        self.away = dict.fromkeys(operations, times)

    def lose(self, *operations: str, times: float = float("inf")) -> None:
        self.lost = dict.fromkeys(operations, times)

    def hold(self, *operations: str) -> None:
        self.held_up = frozenset(operations)
        self._healed.clear()

    def heal(self) -> None:
        self.away, self.lost, self.held_up = {}, {}, frozenset()
        self._healed.set()

    def on_change(self, listener: Callable[[str], None], *, missed: Callable[[], None]) -> None:
        self.missed = missed
        self._inner.on_change((lambda _: None) if self._deaf else listener, missed=lambda: None)

    async def create(
        self, record: TaskRecord, *, idempotency_key: str | None = None, push: Push | None = None
    ) -> str | None:
        known: str | None = await self._run("create", record, idempotency_key=idempotency_key, push=push)
        return known

    async def append(self, record: TaskRecord, *, updates: Sequence[Any], key: tuple[str, str] | None = None) -> bool:
        written: bool = await self._run("append", record, updates=updates, key=key)
        return written

    def __getattr__(self, name: str) -> Any:
        if name not in WRITES:
            return getattr(self._inner, name)

        async def run(*args: Any, **kwargs: Any) -> Any:
            return await self._run(name, *args, **kwargs)

        return run

    async def _run(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if name in self.held_up:
            await self._healed.wait()
        if self._counts(self.away, name):
            raise StoreError("the store is away")
        result = await getattr(self._inner, name)(*args, **kwargs)
        self.done.append(name)
        if self._counts(self.lost, name):
            raise StoreError("the answer was lost")
        return result

    def _counts(self, what: dict[str, float], name: str) -> bool:
        left = what.get(name, 0)
        what[name] = left - 1
        return left > 0
