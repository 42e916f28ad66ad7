"""Publishes CloudEvents about the lifecycle of tasks to the Broker of their agent.

No request waits for them. A bounded queue is published one event at a time with a few attempts each; an event that is
lost is logged and counted. The id of an event is made of the task and its version, so a repetition has the same id.

Events about states carry no `a2ataskid`, because a reply to one must not advance the task. The event that tells an
agent about a cancellation carries it, because the agent knows its work by that id; the task has ended, so a reply does
not advance it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import orjson
import structlog

from lambdaagent import media_types
from lambdaagent.backoff import Backoff
from lambdaagent.containers import context_ids
from lambdaagent.errors import LambdaAgentError
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.types import TASK_CANCELED
from lambdaagent.outbox import SIZE, Outbox
from lambdaagent.store.records import TaskRecord

log = structlog.get_logger(__name__)

TYPE = "io.knative.lambda.lifecycle.task"
_ATTEMPTS = 5
# Publishes the event to the Broker of the agent (namespace, name).
Publish = Callable[[str, str, Event], Awaitable[object]]


def event_of(record: TaskRecord) -> Event:
    """Return the event about the task's new state."""
    return _event(record, f"{TYPE}.{record.state.v03}", context_id=record.context_id, extensions={})


def cancellation(record: TaskRecord) -> Event:
    """Return the event that tells the agent that it may stop its work on the task."""
    context_id = context_ids.of_container(record.context_id, owner=record.owner)
    ids = {"a2ataskid": record.id, "a2acontextid": context_id, "a2askillid": record.skill}
    known = {name: value for name, value in ids.items() if value}
    return _event(record, TASK_CANCELED, context_id=context_id, extensions=known)


def _event(record: TaskRecord, kind: str, *, context_id: str, extensions: Mapping[str, str]) -> Event:
    data = {
        "id": record.id,
        "contextId": context_id,
        "namespace": record.namespace,
        "agent": record.agent,
        "skill": record.skill,
        "state": str(record.state),
    }
    return Event(
        id=f"{record.id}.{record.version}",
        source=f"/a2a/{record.namespace}/{record.agent}",
        type=kind,
        subject=record.id,
        time=str(record.task["status"].get("timestamp", "")) or None,
        datacontenttype=media_types.JSON,
        data=orjson.dumps(data),
        extensions=extensions,
    )


@dataclass
class TaskLifecyclePublisher:
    publish: Publish
    count: Callable[[str], None]
    event: Callable[[TaskRecord], Event] = event_of
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.2, cap=5.0))
    _outbox: Outbox[TaskRecord] = field(default_factory=lambda: Outbox("task events"), init=False)

    def tell(self, record: TaskRecord) -> None:
        """Queue the event about a record. If the queue is full, the event is lost, logged and counted."""
        if not self._outbox.put(record):
            self._lost(record, f"the queue of {SIZE} events is full")

    def run(self) -> AbstractAsyncContextManager[None]:
        return self._outbox.run(self._publish, failed=lambda _record: self.count("task-event-lost"))

    async def _publish(self, record: TaskRecord) -> None:
        problem = ""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self.publish(record.namespace, record.agent, self.event(record))
            except LambdaAgentError as error:
                problem = str(error)
            else:
                self.count("task-event")
                return
            if attempt < _ATTEMPTS:
                await asyncio.sleep(self.backoff.delay(attempt))
        self._lost(record, problem)

    def _lost(self, record: TaskRecord, problem: str) -> None:
        log.warning("lifecycle_event.lost", task=record.id, state=record.state, error=problem)
        self.count("task-event-lost")
