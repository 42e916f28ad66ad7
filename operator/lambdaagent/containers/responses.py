"""Converts a container's response into updates of its task in the 1.0 form. No I/O; `interpret` never raises.

An ordinary container answers with JSON, text or a CloudEvent: that is one artifact and the end of the task. A container
that knows A2A may answer with `application/a2a+json` and so ask for input, refuse, or return several artifacts. A
response that cannot be understood fails the task with a message that holds the reason and a short excerpt without
likely credentials.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from lambdaagent import bounded_json
from lambdaagent.a2a import Json, params, tolerant_reader
from lambdaagent.a2a.errors import Violation, summary
from lambdaagent.a2a.states import Role, TaskState, parse_role, parse_state
from lambdaagent.a2a.tasks import agent_message, artifact_update, status_update
from lambdaagent.clock import Clock
from lambdaagent.containers import filenames
from lambdaagent.events import charsets, types
from lambdaagent.events import http as ce
from lambdaagent.events.cloudevents import Event
from lambdaagent.events.errors import EventError
from lambdaagent.httpclient import sse_decoder
from lambdaagent.media_types import A2A_JSON, EVENT_STREAM, JSON

RESPONSES = {
    types.RESPONSE_SUCCESS: TaskState.COMPLETED,
    types.RESPONSE_ERROR: TaskState.FAILED,
    types.RESPONSE_TIMEOUT: TaskState.FAILED,
}
_EXCERPT = 300
_SLICE = 16 * 1024  # bytes of a stream that are parsed at a time
_BATCH = 64
_SECRET = re.compile(
    r"(?i)(bearer|basic|authorization|api[-_ ]?key|token|secret|password|passwd)"
    r"([\"']?\s*[:= ]\s*[\"']?)(?:(?:bearer|basic|token)\s+)?[^\s\"',;&]{4,}"
    r"|\b(sk|ghp|xox[abp])[-_][\w-]{8,}"
)


def is_result(status: int) -> bool:
    """Whether the body of a response with this status is the result of the call."""
    return 200 <= status < 300 and status not in (202, 204)


async def interpret(
    *, status: int, headers: Mapping[str, str], body: bytes, clock: Clock, reply_type: str | None = None
) -> list[Json]:
    """Return the updates that a response means. If none of them settles the task, the task continues.

    Other tasks run while a large batch of events is read.
    """
    if status in (202, 204):
        return []
    if not 200 <= status < 300:
        said = excerpt(body, headers.get("content-type", ""))
        return [failed(f"The agent answered {status}" + (f": {said}" if said else "."), clock=clock)]
    filename = filenames.read(headers.get("content-disposition"))
    try:
        if ce.mode(headers) is not None:
            updates: list[Json] = []
            async for event in ce.read_in_turns(headers, body):
                updates += from_event(event, clock=clock, reply_type=reply_type, filename=filename)
            return updates if settles(updates) else [*updates, status_update(TaskState.COMPLETED, now=clock.now())]
        content_type = headers.get("content-type", "")
        kind = ce.media_type(content_type)
        if kind == A2A_JSON:
            return _ended(from_a2a(_json(body, content_type), clock=clock), clock=clock)
        if kind == EVENT_STREAM:
            return _of_stream(body, content_type, clock=clock)
        updates = [_artifact(parts, clock=clock)] if (parts := parts_of(content_type, body, filename=filename)) else []
        return [*updates, status_update(TaskState.COMPLETED, now=clock.now())]
    except (EventError, ValueError) as error:
        return [failed(f"The agent's response cannot be understood: {error}", clock=clock)]


def _of_stream(body: bytes, content_type: str, *, clock: Clock) -> list[Json]:
    """Return the updates of a whole stream. Raises ValueError, unless earlier updates settle the task."""
    stream = Stream(clock=clock, limit=len(body) + 1, content_type=content_type)
    updates: list[Json] = []
    try:
        for batch in stream.feed(body):
            updates += batch
        updates += stream.end()
    except ValueError:
        if not settles(updates):
            raise
    return updates


def from_event(event: Event, *, clock: Clock, reply_type: str | None = None, filename: str = "") -> list[Json]:
    """Return the updates of the task whose id the event carries.

    `filename` is the name of its data, if the response that carried the event gives one.
    """
    state = parse_state(event.extensions.get("a2astate"))
    if state is None:
        state = RESPONSES.get(event.type)
    if state is None and reply_type is not None and event.type == reply_type:
        state = TaskState.COMPLETED
    try:
        if ce.media_type(event.datacontenttype or "") == A2A_JSON:
            updates = from_a2a(_json(event.data, event.datacontenttype or ""), clock=clock)
            return updates if state is None or settles(updates) else [*updates, status_update(state, now=clock.now())]
        parts = parts_of(event.datacontenttype or "", event.data, filename=filename)
    except ValueError as error:
        return [failed(f"The event {event.id!r} cannot be understood: {error}", clock=clock)]
    if state is None or state is TaskState.COMPLETED:
        updates = [_artifact(parts, clock=clock)] if parts else []
        if state is not None:
            updates.append(status_update(state, now=clock.now()))
        elif not updates:
            updates.append(status_update(TaskState.WORKING, now=clock.now()))
        return updates
    if event.type == types.RESPONSE_TIMEOUT and not parts:
        parts = [{"text": "The agent ran out of time."}]
    message = agent_message(parts, message_id=clock.new_id()) if parts else None
    return [status_update(state, now=clock.now(), message=message)]


def failed(text: str, *, clock: Clock) -> Json:
    message = agent_message([{"text": text}], message_id=clock.new_id())
    return status_update(TaskState.FAILED, now=clock.now(), message=message)


def settles(updates: list[Json]) -> bool:
    return any(_state(update) is not None and _state(update).settled for update in updates)  # type: ignore[union-attr]


def parts_of(content_type: str, body: bytes, *, filename: str = "") -> list[Json]:
    """Return one part for a body, or none for an empty one. Text is decoded by its charset.

    Raises ValueError if the bytes do not match their content type.
    """
    if not body:
        return []
    part = _part(content_type, body)
    return [{**part, "filename": filename} if filename else part]


def _part(content_type: str, body: bytes) -> Json:
    kind = ce.media_type(content_type)
    if ce.is_json(kind):
        part: Json = {"data": _json(body, content_type)}
        return part if kind == JSON else {**part, "mediaType": kind}
    if not kind or kind.startswith("text/"):
        try:
            text = charsets.text(body, content_type)
        except ValueError as error:
            if kind:
                raise ValueError(f"it is {kind}, and {error}") from None
        else:
            return {"text": text} if kind in ("", "text/plain") else {"text": text, "mediaType": kind}
    # Bytes keep the parameters of their type, such as a charset, which a reader needs.
    whole = content_type.strip() if ";" in content_type else kind
    return {"raw": b64encode(body).decode(), "mediaType": whole or "application/octet-stream"}


def excerpt(body: bytes, content_type: str = "") -> str:
    """Return the beginning of a response as one line, with likely credentials masked."""
    text = " ".join(charsets.beginning(body[: _EXCERPT * 4], content_type).split())
    text = "".join(character if character.isprintable() else "?" for character in text)
    text = _SECRET.sub(lambda found: f"{found[1] or found[3]} ***", text)
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "..."


def _json(body: bytes, content_type: str) -> Any:
    try:
        return bounded_json.loads(charsets.json(body, content_type))
    except orjson.JSONDecodeError:
        said = excerpt(body, content_type) or "empty"
        raise ValueError(f"its content type is {ce.media_type(content_type)}, and it is not JSON: {said}") from None


def _artifact(parts: list[Json], *, clock: Clock) -> Json:
    return artifact_update({"artifactId": clock.new_mark(), "parts": parts})  # no secret, and there may be a thousand


def _ended(updates: list[Json], *, clock: Clock) -> list[Json]:
    """Return the updates of a complete response.

    A result without a status is a success; 'working' alone is kept as it is.
    """
    if settles(updates):
        return updates
    going_on = any(_state(update) is not None for update in updates) and not any("artifactUpdate" in u for u in updates)
    return updates if going_on else [*updates, status_update(TaskState.COMPLETED, now=clock.now())]


def _state(update: Json) -> TaskState | None:
    return parse_state(update["statusUpdate"]["status"]["state"]) if "statusUpdate" in update else None


class Stream:
    """A response of type text/event-stream, read as it arrives: A2A events, or text events that form one artifact."""

    def __init__(self, *, clock: Clock, limit: int, content_type: str = "") -> None:
        """Raises ValueError for an unknown charset."""
        self._clock = clock
        self._decoder = sse_decoder.SseDecoder(limit=limit, charset=charsets.declared(content_type) or charsets.UTF8)
        self._text_id = clock.new_id()
        self._text = self._artifacts = self._settled = self._said = False
        self._messages = MessageReader(clock)

    def feed(self, chunk: bytes) -> Iterator[list[Json]]:
        """Yield the updates that this chunk completes, in small or empty batches, between which other tasks can run.

        Raises ValueError for data that cannot be understood.
        """
        for at in range(0, len(chunk), _SLICE):
            batch: list[Json] = []
            try:
                for data in self._decoder.feed(chunk[at : at + _SLICE]):
                    batch += self._updates(data)
                    if len(batch) >= _BATCH:
                        yield batch
                        batch = []
            except ValueError:
                yield batch  # Earlier updates are kept: they may hold the reason why the agent failed.
                raise
            yield batch

    def end(self) -> list[Json]:
        """Return the updates that the end of the stream means: a result without a status is a success."""
        updates = [update for data in self._decoder.end() for update in self._updates(data)]
        if not self._settled:
            updates += self._messages.end()
        if not settles(updates) and not self._settled and (self._artifacts or not self._said):
            updates.append(status_update(TaskState.COMPLETED, now=self._clock.now()))
        return updates

    def _updates(self, data: str) -> list[Json]:
        try:
            value = bounded_json.loads(data.encode())
        except orjson.JSONDecodeError:
            value = None
        if tolerant_reader.is_event(value):
            updates = self._messages.updates(tolerant_reader.stream_response(value))
        else:
            artifact = {"artifactId": self._text_id, "parts": [{"text": data}]}
            updates = [artifact_update(artifact, append=self._text, last=False)]
            self._text = True
        self._said = self._said or any("statusUpdate" in update for update in updates)
        self._artifacts = self._artifacts or any("artifactUpdate" in update for update in updates)
        self._settled = self._settled or settles(updates)
        return updates


class MessageReader:
    """Reads the events of one response. A message ends the task only if no event follows it (1.0 section 3.1.2).

    A message that is the whole response is a direct Message: the agent made no task.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: Json | None = None
        self._events = 0

    def updates(self, event: Json) -> list[Json]:
        """Return the updates of a StreamResponse that `tolerant_reader` read. Raises ValueError if it is not valid."""
        self._events += 1
        if "message" in event:
            message = _checked_message(event["message"], self._clock)
            before, self._last = self._passed(), message
            return before
        updates = _updates(event, self._clock, last=False)
        return [*self._passed(), *updates]

    def end(self) -> list[Json]:
        """Return the update of the last message, which is the answer."""
        last, self._last = self._last, None
        if last is None:
            return []
        return [status_update(TaskState.COMPLETED, now=self._clock.now(), message=last, direct=self._events == 1)]

    def _passed(self) -> list[Json]:
        """Return a held message as a 'working' status, because another event follows it."""
        last, self._last = self._last, None
        return [status_update(TaskState.WORKING, now=self._clock.now(), message=last)] if last is not None else []


def from_a2a(value: Any, *, clock: Clock) -> list[Json]:
    """Return the updates of a complete response: a StreamResponse or its content.

    Raises ValueError if it is neither.
    """
    return _updates(tolerant_reader.stream_response(value), clock, last=True)


def _updates(event: Json, clock: Clock, *, last: bool) -> list[Json]:
    """`last` is the default of an artifact's lastChunk: in a stream, both versions omit a flag that is false."""
    if "artifactUpdate" in event:
        update = event["artifactUpdate"]
        return _artifact_update({"lastChunk": last, **update}, clock)
    ((name, content),) = event.items()
    return _READERS[name](content, clock)


def _task(value: Json, clock: Clock) -> list[Json]:
    artifacts = value.get("artifacts") or []
    if not isinstance(artifacts, list):
        raise ValueError("task.artifacts must be a list")
    updates = [_artifact_update({"artifact": artifact, "lastChunk": True}, clock) for artifact in artifacts]
    if not artifacts:
        value = _with_answer(value)
    return [*(update for each in updates for update in each), *_status_update(value, clock)]


def _with_answer(task: Json) -> Json:
    """Return the task with the last message of its history as the answer, if it is the agent's.

    Some containers answer only in the history.
    """
    status, history = task.get("status"), task.get("history")
    if not isinstance(status, dict) or status.get("message") is not None or not isinstance(history, list):
        return task
    last = history[-1] if history else None
    if not isinstance(last, dict) or parse_role(last.get("role")) is not Role.AGENT:
        return task
    return {**task, "status": {**status, "message": last}}


def _message(value: Json, clock: Clock) -> list[Json]:
    message = _checked_message(value, clock)
    return [status_update(TaskState.COMPLETED, now=clock.now(), message=message, direct=True)]


def _status_update(value: Json, clock: Clock) -> list[Json]:
    status = value.get("status")
    state = parse_state(status.get("state", 0)) if isinstance(status, dict) else None
    if not isinstance(status, dict) or state is None:
        raise ValueError("status.state is not a task state")
    if state is TaskState.UNSPECIFIED:
        state = TaskState.WORKING  # 0.3's "unknown" means only that the task has not ended
    message = _checked_message(status["message"], clock) if isinstance(status.get("message"), dict) else None
    metadata = value.get("metadata")
    return [
        status_update(
            state, now=clock.now(), message=message, metadata=metadata if isinstance(metadata, dict) else None
        )
    ]


def _artifact_update(value: Json, clock: Clock) -> list[Json]:
    artifact = value.get("artifact")
    found: list[Violation] = []
    parts = params.check_parts(
        artifact.get("parts") if isinstance(artifact, dict) else None,
        found,
        at="artifact.parts",
        empty=isinstance(artifact, dict),
    )
    _refuse(found)
    checked: Json = {**(artifact or {}), "parts": parts}
    if not isinstance(checked.get("artifactId"), str) or not checked["artifactId"]:
        checked["artifactId"] = clock.new_id()
    metadata = value.get("metadata")
    return [
        artifact_update(
            checked,
            append=value.get("append") is True,
            last=value.get("lastChunk") is True,
            metadata=metadata if isinstance(metadata, dict) else None,
        )
    ]


def _checked_message(value: Json, clock: Clock) -> Json:
    """Return the message as the agent's, whatever role it names, without the ids that the gateway assigns."""
    kept = {key: each for key, each in value.items() if key not in ("taskId", "contextId", "task_id", "context_id")}
    if not kept.get("messageId") and not kept.get("message_id"):
        kept["messageId"] = clock.new_id()
    found: list[Violation] = []
    message = params.check_message({**kept, "role": str(Role.AGENT)}, found, at="message", empty=True)
    _refuse(found)
    return message or {}


def _refuse(found: list[Violation]) -> None:
    if found:
        raise ValueError(summary(found, between=" "))


_READERS: dict[str, Callable[[Json, Clock], list[Json]]] = {
    "task": _task,
    "message": _message,
    "statusUpdate": _status_update,
}
