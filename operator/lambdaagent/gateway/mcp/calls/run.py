"""A task while the request that called a tool is open: its events as they come, folded into the task."""

import asyncio
from collections.abc import AsyncGenerator

from lambdaagent.a2a import Json
from lambdaagent.a2a.tasks import fold, state_of
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
        self.task: Json | None = None
        self.last_event_id = ""

    async def begin(self) -> None:
        """Read until the task is known. Raises A2AError and TemporaryError, as the engine does."""
        while self.task is None:
            if self._take(await anext(self._events, None)) is None and self._over:
                raise StoppedError("the gateway is stopping; call the tool again")

    @property
    def settled(self) -> bool:
        """Whether the task has ended or waits for its client."""
        return self.task is not None and state_of(self.task).settled

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
            raise StoppedError("the gateway is stopping; call the tool again")
        return event

    def began(self, task: Json) -> None:
        self.task = task
        self.known.set()

    def go_on(self, task: Json, last_event_id: str, events: AsyncGenerator[StreamEvent, None]) -> None:
        """Take the task as it is now, and read on after the event with this id."""
        self.task, self._events, self.last_event_id = task, events, last_event_id

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
            self.task = event["task"]
        elif event and self.task is not None:
            self.task = fold(self.task, event)
        return event


async def _none() -> AsyncGenerator[StreamEvent, None]:
    return
    yield


async def _one(events: AsyncGenerator[StreamEvent, None]) -> StreamEvent | None:
    return await anext(events, None)
