"""A task while the request that called a tool is open: its events as they come, and the task that they make.

The events are folded into the task when it is looked at, and not one by one: each fold copies the parts of an artifact,
of which an agent may stream 100,000.
"""

import asyncio
from collections.abc import AsyncGenerator

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState, parse_state
from lambdaagent.a2a.tasks import fold_all, state_of
from lambdaagent.cancellation import cancel
from lambdaagent.errors import TemporaryError
from lambdaagent.tasks.requests import StreamEvent


class StoppedError(TemporaryError):
    """The gateway ends streams, because it stops, before the task has settled."""


class Run:
    """`task` is the task so far.

    `close` must be called; it ends the reading and not the task. Without events, it reads none until `go_on`.
    """

    def __init__(self, events: AsyncGenerator[StreamEvent, None] | None = None) -> None:
        self._events = events if events is not None else _none()
        self._pending: asyncio.Task[StreamEvent | None] | None = None
        self._over = False
        self.known = asyncio.Event()
        """Set by `began`."""
        self._task: Json | None = None
        self._updates: list[Json] = []
        self._state = TaskState.UNSPECIFIED
        self.last_event_id = ""

    @property
    def task(self) -> Json | None:
        if self._task is not None and self._updates:
            self._task, self._updates = fold_all(self._task, self._updates), []
        return self._task

    async def begin(self) -> None:
        """Read until the task is known. Raises A2AError and TemporaryError, as the engine does."""
        while self._task is None:
            if self._take(await anext(self._events, None)) is None and self._over:
                raise StoppedError("the gateway is stopping; call the tool again")

    @property
    def settled(self) -> bool:
        """Whether the task has ended or waits for its client."""
        return self._state.settled

    async def next(self, *, within: float | None = None) -> Json | None:
        """Return the next event; None if none comes within these seconds, or if there are no more."""
        if self._over:
            return None
        if self._pending is None:
            self._pending = asyncio.create_task(_one(self._events), name="mcp-run")
        done, _ = await asyncio.wait([self._pending], timeout=within)
        if not done:
            return None
        pending, self._pending = self._pending, None
        event = self._take(pending.result())
        if event is None and not self.settled:
            named = f"the task {self._task['id']}" if self._task is not None else "the task"
            raise StoppedError(f"the gateway is stopping; see what became of {named} before you call again")
        return event

    def began(self, task: Json) -> None:
        self._begin_with(task)
        self.known.set()

    def go_on(self, task: Json, last_event_id: str, events: AsyncGenerator[StreamEvent, None]) -> None:
        """Take the task as it is now, and read on after the event with this id."""
        self._begin_with(task)
        self._events, self.last_event_id = events, last_event_id

    async def follow(self, events: AsyncGenerator[StreamEvent, None]) -> None:
        """Go on with other events of the same task: those after its client has answered."""
        await self.close()
        self._events, self._over = events, False

    async def close(self) -> None:
        if self._pending is not None:
            await cancel(self._pending)
            self._pending = None
        await self._events.aclose()

    def _take(self, found: StreamEvent | None) -> Json | None:
        if found is None:
            self._over = True
            return None
        event = found.event
        if found.id:
            self.last_event_id = found.id
        if "task" in event:
            self._begin_with(event["task"])
        elif event and self._task is not None:
            self._updates.append(event)
            if "statusUpdate" in event:
                self._state = parse_state(event["statusUpdate"]["status"].get("state")) or TaskState.UNSPECIFIED
        return event

    def _begin_with(self, task: Json) -> None:
        self._task, self._updates, self._state = task, [], state_of(task)


async def _none() -> AsyncGenerator[StreamEvent, None]:
    return
    yield


async def _one(events: AsyncGenerator[StreamEvent, None]) -> StreamEvent | None:
    return await anext(events, None)
