"""What agents refer to outside the cluster, and the newest answer of each, which is asked for outside of reconciles.

Each thing has one asyncio task, however many agents refer to it, from the first reference to the last one. Agents are
woken only if the answer has changed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from lambdaagent.cancellation import cancel
from lambdaagent.children.base import AgentKey

Thing = TypeVar("Thing", bound=Hashable)
Answer = TypeVar("Answer")


@dataclass
class AnswersOf(Generic[Thing, Answer]):
    follow: Callable[[Thing], Coroutine[Any, Any, None]]  # asks without end, and calls `take`
    label: Callable[[Thing], str]  # of the asyncio task
    changed: Callable[[AgentKey], None]  # called with each agent that refers to a thing whose answer is another one now
    _users: dict[Thing, set[AgentKey]] = field(default_factory=dict, init=False)
    _things: dict[AgentKey, frozenset[Thing]] = field(default_factory=dict, init=False)
    _answers: dict[Thing, Answer] = field(default_factory=dict, init=False)
    _tasks: dict[Thing, asyncio.Task[None]] = field(default_factory=dict, init=False)
    _running: bool = field(default=False, init=False)

    def get(self, thing: Thing) -> Answer | None:
        return self._answers.get(thing)

    def put(self, key: AgentKey, now: frozenset[Thing]) -> None:
        """Set the things that the agent refers to; none if it no longer exists."""
        before = self._things.pop(key, frozenset())
        if now:
            self._things[key] = now
        for thing in before - now:
            self._users[thing].discard(key)
            if not self._users[thing]:
                del self._users[thing]
                self._answers.pop(thing, None)
                if task := self._tasks.pop(thing, None):
                    task.cancel()
        for thing in now - before:
            self._users.setdefault(thing, set()).add(key)
            self._begin(thing)

    def take(self, thing: Thing, answer: Answer) -> bool:
        """Keep the answer, and wake the agents if it is another one. Return whether it is."""
        if answer == self._answers.get(thing):
            return False
        self._answers[thing] = answer
        for key in list(self._users.get(thing, ())):
            self.changed(key)
        return True

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Ask while the context is open."""
        self._running = True
        for thing in self._users:
            self._begin(thing)
        try:
            yield
        finally:
            self._running = False
            tasks = list(self._tasks.values())
            self._tasks.clear()
            await cancel(*tasks)

    def _begin(self, thing: Thing) -> None:
        if self._running and thing not in self._tasks:
            self._tasks[thing] = asyncio.create_task(self.follow(thing), name=self.label(thing))
