"""A level-triggered work queue of agents to reconcile; one worker at a time processes an agent.

The queue stores keys and not changes: a key that is added ten times is processed once, and a key that is added while it
is processed is processed once more. Failures are retried per key with jittered back-off, and keys that failed last time
take at most half of the workers, so a hundred agents that wait for an unavailable webhook do not delay the others.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from lambdaagent.backoff import Backoff
from lambdaagent.cancellation import cancel
from lambdaagent.children.base import AgentKey
from lambdaagent.errors import LambdaAgentError
from lambdaagent.kube.errors import ConflictError

log = structlog.get_logger(__name__)

# Returns the number of seconds until the next reconcile in any case; None if only a change causes one.
Process = Callable[[AgentKey], Awaitable[float | None]]


@dataclass
class WorkQueue:
    process: Process
    workers: int = 8
    backoff: Callable[[], Backoff] = field(default=lambda: Backoff(first=0.5, cap=60.0))
    _waiting: dict[AgentKey, None] = field(default_factory=dict, init=False)  # ordered, each key once
    _suspect: dict[AgentKey, None] = field(default_factory=dict, init=False)  # the same, for keys that failed last time
    _suspects_running: int = field(default=0, init=False)
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
        if key not in self._waiting and key not in self._suspect:
            (self._suspect if key in self._backoffs else self._waiting)[key] = None
        self._wake.set()

    def forget(self, key: AgentKey) -> None:
        """Drop what is remembered of an agent that no longer exists."""
        self._backoffs.pop(key, None)
        if timer := self._timers.pop(key, None):
            timer.cancel()

    @property
    def depth(self) -> int:
        return len(self._waiting) + len(self._suspect) + len(self._running)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Run the workers while the context is open. On exit, reconciles in progress are cancelled."""
        tasks = [asyncio.create_task(self._work(), name=f"reconcile {number}") for number in range(self.workers)]
        try:
            yield
        finally:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()
            await cancel(*tasks)

    async def _work(self) -> None:
        while True:
            while not (lane := self._lane()):
                self._wake.clear()
                await self._wake.wait()
            key = next(iter(lane))
            del lane[key]
            self._running.add(key)
            suspect = lane is self._suspect
            self._suspects_running += suspect
            try:
                delay = await self._once(key)
            finally:
                self._running.discard(key)
                self._suspects_running -= suspect
                self._wake.set()
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            elif delay is not None:
                self._later(key, delay)
            # A reconcile without work never yields to the loop, and a thousand would delay the renewal of the Lease.
            await asyncio.sleep(0)

    def _lane(self) -> dict[AgentKey, None]:
        """Return the queue to take the next key from; it is empty if no key may be taken now."""
        if self._waiting or self._suspects_running >= max(1, self.workers // 2):
            return self._waiting
        return self._suspect

    async def _once(self, key: AgentKey) -> float | None:
        try:
            delay = await self.process(key)
        except LambdaAgentError as problem:
            wait = self._backoffs.setdefault(key, self.backoff()).next()
            # Conflicts are expected: agents that share an object take turns by them.
            level = logging.INFO if isinstance(problem, ConflictError) else logging.WARNING
            log.log(level, "reconcile.failed", agent="/".join(key), error=str(problem), retry_seconds=round(wait, 1))
            return wait
        except Exception:  # top level of this task: a bug in one agent's reconcile must not end the worker
            wait = self._backoffs.setdefault(key, self.backoff()).next()
            log.exception("reconcile.crashed", agent="/".join(key), retry_seconds=round(wait, 1))
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
