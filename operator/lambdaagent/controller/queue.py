"""A level-triggered work queue: which agents are to be looked at, each by one worker at a time.

What happened is not remembered, only that something did: a key that is added ten times is processed once, and one that
is added while it is processed is processed once more. Failures come back with jittered back-off, per key, so that a
failing agent neither spins nor slows the others.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.children.base import AgentKey
from lambdaagent.errors import LambdaAgentError
from lambdaagent.kube.errors import ConflictError

log = structlog.get_logger(__name__)

# Returns after how many seconds to look again in any case; None: only when something happens.
Process = Callable[[AgentKey], Awaitable[float | None]]


@dataclass
class WorkQueue:
    process: Process
    workers: int = 8
    backoff: Callable[[], Backoff] = field(default=lambda: Backoff(first=0.5, cap=60.0))
    _waiting: dict[AgentKey, None] = field(default_factory=dict, init=False)  # ordered, each key once
    _running: set[AgentKey] = field(default_factory=set, init=False)
    _again: set[AgentKey] = field(default_factory=set, init=False)
    _timers: dict[AgentKey, asyncio.TimerHandle] = field(default_factory=dict, init=False)
    _backoffs: dict[AgentKey, Backoff] = field(default_factory=dict, init=False)
    _wake: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def add(self, key: AgentKey) -> None:
        if key in self._running:
            self._again.add(key)
            return
        if timer := self._timers.pop(key, None):
            timer.cancel()
        self._waiting[key] = None
        self._wake.set()

    def forget(self, key: AgentKey) -> None:
        """The agent is gone: nothing about it is to be remembered."""
        self._backoffs.pop(key, None)
        if timer := self._timers.pop(key, None):
            timer.cancel()

    @property
    def depth(self) -> int:
        return len(self._waiting) + len(self._running)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Workers run while the context is open; a reconcile under way is cancelled at its end."""
        tasks = [asyncio.create_task(self._work(), name=f"reconcile {number}") for number in range(self.workers)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            key = next(iter(self._waiting))
            del self._waiting[key]
            self._running.add(key)
            try:
                delay = await self._once(key)
            finally:
                self._running.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            elif delay is not None:
                self._later(key, delay)

    async def _once(self, key: AgentKey) -> float | None:
        try:
            delay = await self.process(key)
        except LambdaAgentError as problem:
            wait = self._backoffs.setdefault(key, self.backoff()).next()
            # A conflict is the way in which agents that share an object take turns.
            say = log.info if isinstance(problem, ConflictError) else log.warning
            say("reconcile failed", agent="/".join(key), problem=str(problem), retry_seconds=round(wait, 1))
            return wait
        except Exception:  # the root of this work: a bug in one agent's reconcile must not end the worker
            wait = self._backoffs.setdefault(key, self.backoff()).next()
            log.exception("reconcile broke", agent="/".join(key), retry_seconds=round(wait, 1))
            return wait
        self._backoffs.pop(key, None)
        return delay

    def _later(self, key: AgentKey, delay: float) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()
        self._timers[key] = asyncio.get_running_loop().call_later(delay, self._due, key)

    def _due(self, key: AgentKey) -> None:
        self._timers.pop(key, None)
        self.add(key)
