"""A task's events for its followers, read from its log at each reader's pace.

The log is the buffer: a slow reader uses no memory, every reader at any replica gets the same events in the same order,
and a reader that reconnects with the id of its last event continues after it. An id is the version of a change, with a
position in the change if more of it follows.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from lambdaagent.a2a import Json
from lambdaagent.a2a.errors import Violation, invalid
from lambdaagent.a2a.tasks import addressed
from lambdaagent.store.records import TaskChange, TaskRecord, TaskStore
from lambdaagent.tasks.active_task import ActiveTask
from lambdaagent.tasks.requests import StreamEvent


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the log: all changes up to `version` were read, and `updates` updates of the next one."""

    version: int
    updates: int = 0

    @classmethod
    def parse(cls, event_id: str | None) -> "Position | None":
        """Parse an event id. None: the gateway did not make it, and the reader begins anew."""
        version, dot, place = (event_id or "").partition(".")
        if not _is_number(version):
            return None
        if not dot:
            return cls(int(version))
        return cls(int(version) - 1, int(place) + 1) if _is_number(place) else None


def _is_number(text: str) -> bool:
    """Whether the text is a number that is short enough for Python's integers and for a database."""
    return text.isascii() and text.isdigit() and len(text) < 10


def require_reached(position: Position, record: TaskRecord) -> None:
    """Raise A2AError for an event that the task has not had: the client has confused the task or the gateway."""
    newest = record.version
    if position.version > newest or (position.version == newest and position.updates):
        raise invalid(Violation("Last-Event-ID", f"is not an event of this task; its newest is {newest}"))


def snapshot(record: TaskRecord) -> StreamEvent:
    return StreamEvent(str(record.version), {"task": record.task})


def events(record: TaskRecord, change: TaskChange, *, skip: int = 0) -> list[StreamEvent]:
    """Return the events of a change from `skip` on. The client's own messages are in the log, but are not events."""
    last = len(change.updates) - 1
    return [
        StreamEvent(str(change.version) if index == last else f"{change.version}.{index}", _shown(record, update))
        for index, update in enumerate(change.updates)
        if index >= skip and "message" not in update
    ]


async def follow(
    active: ActiveTask, *, store: TaskStore, position: Position, look_every: float, until_settled: bool
) -> AsyncGenerator[StreamEvent, None]:
    """Yield events until the task has ended or, with `until_settled`, waits for its client."""
    version, skip = position.version, position.updates
    while True:
        changes = active.since(version)
        if changes is None:
            changes = await store.changes(active.record.id, after=version)
        for change in changes:
            for event in events(active.record, change, skip=skip):
                yield event
            version, skip = change.version, 0
        if version < active.record.version:
            if not changes:
                version = active.record.version  # the log was pruned
            continue
        state = active.record.state
        if state.terminal or (until_settled and state.settled):
            return
        before = active.record.version
        await active.beyond(version, within=look_every)
        if active.record.version == before:
            await active.refresh(store)


def _shown(record: TaskRecord, update: Json) -> Json:
    ids = {"taskId": record.id, "contextId": record.context_id}
    if "artifactUpdate" in update:
        return {"artifactUpdate": {**ids, **update["artifactUpdate"]}}
    change = update["statusUpdate"]
    status = change["status"]
    if "message" in status:
        status = {**status, "message": addressed(status["message"], task_id=record.id, context_id=record.context_id)}
    return {"statusUpdate": {**ids, **change, "status": status}}
