"""How many tasks of one agent may run, and what is done with tasks that their holder left behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import Role
from lambdaagent.store.records import TaskRecord


@dataclass(slots=True)
class Slots:
    """Of one agent in this process; `held` are those that run and those that wait."""

    limit: int
    held: int = 0
    free: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.free = asyncio.Semaphore(self.limit)


@asynccontextmanager
async def both(everybody: asyncio.Semaphore, own: Slots | None) -> AsyncIterator[None]:
    """The agent's own turn first: who waits for it takes nobody else's place."""
    if own is None:
        async with everybody:
            yield
        return
    own.held += 1
    try:
        async with own.free, everybody:
            yield
    finally:
        own.held -= 1


def last_of_client(record: TaskRecord) -> Json | None:
    """The message that the agent was working on."""
    history = record.task.get("history", [])
    return next((message for message in reversed(history) if message.get("role") == Role.USER), None)
