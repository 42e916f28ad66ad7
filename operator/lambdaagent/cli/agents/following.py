"""Follows a task from its message, or from now on, until it ends or waits for the caller.

A stream that breaks is continued after its last event. A message whose stream breaks before the first event is sent
again with the same idempotency key, so that the agent gets it once.
"""

import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import partial

from lambdaagent.a2a import Json
from lambdaagent.a2a.states import TaskState, parse_state
from lambdaagent.cli.agents.a2a_client import UNSUPPORTED, A2aClient, BrokenStreamError, Event, RpcError, is_passing
from lambdaagent.cli.printing import say
from lambdaagent.errors import LambdaAgentError, TemporaryError

_ATTEMPTS = 8  # without an event in between
_LONGEST_WAIT = 10.0  # seconds
_LOOK_EVERY = 1.0  # seconds between two looks at a task of an agent that does not stream


Events = Generator[Event, None, None]


class Followed:
    """What is known of a task while it is followed; empty before its first event."""

    def __init__(self, task_id: str = "") -> None:
        self.task_id = task_id
        self.context_id = ""
        self.state: TaskState | None = None
        self.is_message = False
        self.event_id = ""

    @property
    def settled(self) -> bool:
        return self.is_message or (self.state is not None and self.state.settled)

    @property
    def ended(self) -> bool:
        return self.is_message or (self.state is not None and self.state.terminal)

    def take(self, event: Event) -> None:
        self.event_id = event.id or self.event_id
        for name, found in event.result.items():
            if not isinstance(found, dict):
                continue
            self.is_message = name == "message"
            self.context_id = str(found.get("contextId") or self.context_id)
            if not self.is_message:
                self.task_id = str(found.get("id" if name == "task" else "taskId") or self.task_id)
            status = found.get("status")
            if isinstance(status, dict):
                self.state = parse_state(status.get("state")) or self.state


def send(client: A2aClient, params: Json, known: Followed) -> Iterator[Json]:
    """Send a message and yield the results of its stream until the task is settled. Raises LambdaAgentError."""
    key = str(uuid.uuid4())
    try:
        yield from _continued(client, known, lambda: client.stream("SendStreamingMessage", params, key=key))
    except RpcError as error:
        if error.code != UNSUPPORTED or known.event_id:
            raise
        yield from _polled(client, params, known, key=key)


def subscribe(client: A2aClient, known: Followed) -> Iterator[Json]:
    """Yield a task and its changes until it has ended; a task that waits for input has not. Raises LambdaAgentError."""
    begin = partial(client.stream, "SubscribeToTask", {"id": known.task_id})
    yield from _continued(client, known, begin, until_ended=True)


def _continued(
    client: A2aClient, known: Followed, begin: Callable[[], Events], *, until_ended: bool = False
) -> Iterator[Json]:
    failures, events = 0, begin()
    while True:
        cause = "it ended early"
        try:
            with closing(events):
                for event in events:
                    failures = 0
                    known.take(event)
                    yield event.result
                    if known.ended if until_ended else known.settled:
                        return
        except LambdaAgentError as error:
            if not is_passing(error) or not (known.event_id or isinstance(error, BrokenStreamError)):
                raise
            cause = str(error)
        failures += 1
        if failures > _ATTEMPTS:
            raise TemporaryError(_given_up(client, known, cause))
        say(f"the stream of the answer broke ({cause}); it is continued")
        time.sleep(min(_LONGEST_WAIT, 0.25 * 2**failures))
        if known.event_id:
            events = client.stream("SubscribeToTask", {"id": known.task_id}, after=known.event_id)
        else:
            events = begin()


def _given_up(client: A2aClient, known: Followed, cause: str) -> str:
    text = f"the stream of the answer of {client.agent.key} broke {_ATTEMPTS + 1} times ({cause})"
    if not known.task_id:
        return f"{text}; send the message again"
    return f"{text}; `lambdaagent tasks watch {client.agent.key} {known.task_id}` goes on"


def _polled(client: A2aClient, params: Json, known: Followed, *, key: str) -> Iterator[Json]:
    """Yield snapshots of the task of an agent that offers no streams."""
    configuration = {"returnImmediately": True}
    result = client.call("SendMessage", {**params, "configuration": configuration}, key=key)
    shown: Json = {}
    while True:
        if result != shown:
            known.take(Event("", result))
            yield result
            shown = result
        if known.settled:
            return
        time.sleep(_LOOK_EVERY)
        result = {"task": client.call("GetTask", {"id": known.task_id})}
