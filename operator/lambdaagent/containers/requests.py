"""The request that a container gets, by its protocol. Pure.

Attributes that others choose (ids, skill) are percent-encoded like any CloudEvents attribute; over plain HTTP the ids
are encoded in the same way, because a client may put any text into a context id.
"""

from dataclasses import dataclass

import orjson

from lambdaagent import media_types
from lambdaagent.a2a import Json
from lambdaagent.a2a.params import raw_bytes
from lambdaagent.api.skills import Skill
from lambdaagent.containers import filenames
from lambdaagent.containers.callee import Callee
from lambdaagent.containers.context_ids import in_message
from lambdaagent.events import charsets, types
from lambdaagent.events.cloudevents import Event, Value
from lambdaagent.events.http import binary, encode, holds_event
from lambdaagent.httpclient.codings import ACCEPT_ENCODING
from lambdaagent.httpclient.wire import lines

# In a message's metadata: the message was the body of a direct call, with this content type, and is sent as that body.
DIRECT = "directContentType"
# Content types of a container's response, the richest first.
ACCEPT = "application/a2a+json, application/cloudevents+json, application/json, text/event-stream, */*"


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    fixed: str = ""  # further header lines, built once per skill


@dataclass(frozen=True, slots=True)
class _Prepared:
    path: str
    fixed: str


def for_message(
    callee: Callee,
    *,
    skill: Skill | None,
    message: Json,
    task_id: str,
    context_id: str,
    event_id: str,
    traceparent: str | None,
    attempt: int = 0,
    shared: Json | None = None,
) -> ContainerRequest:
    """Return the request for a message; `attempt` is the attempt of a call that was delivered as an event.

    `context_id` is the container's. `shared` is what agents share under the client's.
    """
    prepared = _prepared(callee, skill)
    plain = in_message(message, context_id)
    kind, body = _direct(message) or (media_types.JSON, data(skill, plain, shared=shared))
    headers = [("content-type", kind), ("accept", ACCEPT), ACCEPT_ENCODING]
    if len(message["parts"]) == 1 and (filename := message["parts"][0].get("filename")):
        headers.append(("content-disposition", filenames.header(filename)))
    if callee.protocol == "http":
        headers += [("A2A-Task-Id", encode(task_id)), ("A2A-Context-Id", encode(context_id))]
    else:
        headers += [("ce-id", event_id), ("ce-a2ataskid", encode(task_id)), ("ce-a2acontextid", encode(context_id))]
        if attempt:
            headers.append(("ce-attempt", str(attempt)))
    return ContainerRequest(prepared.path, headers + _trace(callee, traceparent), body, prepared.fixed)


def event_for(
    callee: Callee,
    *,
    skill: Skill,
    message: Json,
    task_id: str,
    context_id: str,
    event_id: str,
    traceparent: str | None,
) -> Event:
    """Return the call as an event for the broker. `context_id` is the container's."""
    kind, body = _direct(message) or (media_types.JSON, data(skill, in_message(message, context_id)))
    ids = {"a2ataskid": task_id, "a2acontextid": context_id, "a2askillid": skill.id, "a2aagent": callee.name}
    return Event(
        id=event_id,
        source=callee.source,
        type=_type(skill),
        data=body,
        datacontenttype=kind,
        subject=skill.id,
        extensions=ids | ({"traceparent": traceparent} if traceparent else {}),
    )


def for_direct(
    callee: Callee,
    *,
    skill: Skill,
    event_id: str,
    content_type: str | None,
    traceparent: str | None,
    task_id: str,
    context_id: str,
) -> ContainerRequest:
    """Return the request of a direct skill call; the caller adds the body as it arrives.

    `task_id` is the id of the task that a 202 creates, `context_id` that of its context for the container.
    """
    prepared = _prepared(callee, skill)
    headers = _trace(callee, traceparent) if traceparent else []
    if callee.protocol == "http":
        headers += [("A2A-Task-Id", task_id), ("A2A-Context-Id", context_id)]
    else:
        headers += [("ce-id", event_id), ("ce-a2ataskid", task_id), ("ce-a2acontextid", context_id)]
    if content_type is not None:
        headers.append(("content-type", content_type))
    return ContainerRequest(prepared.path, headers, fixed=prepared.fixed)


def for_event(event: Event) -> ContainerRequest:
    """Return the request for an event that a Trigger delivers, unchanged."""
    headers, body = binary(event)
    return ContainerRequest("/", [*headers, ACCEPT_ENCODING], body)


def _direct(message: Json) -> tuple[str, bytes] | None:
    kind = message.get("metadata", {}).get(DIRECT)
    if not isinstance(kind, str) or len(message["parts"]) != 1 or not kind.isprintable():
        return None
    if holds_event(kind):
        return None  # Its attributes would be the client's, but those of a call must be the gateway's.
    (part,) = message["parts"]
    if "raw" in part:
        return kind, raw_bytes(part["raw"])
    # Text and JSON are encoded anew as UTF-8, whatever their charset was.
    if "text" in part:
        return charsets.as_utf8(kind), part["text"].encode()
    return (charsets.as_utf8(kind), orjson.dumps(part["data"])) if "data" in part else None


def data(skill: Skill | None, message: Json, *, shared: Json | None = None) -> bytes:
    """Return the body: a single data part as the container's own JSON, or a wrapper with the text in a field.

    The field is `text`, where existing agents look, or the skill's text field. `shared` is added as `sharedContext`.
    """
    parts = message["parts"]
    more = {} if shared is None else {"sharedContext": shared}
    if len(parts) == 1 and "data" in parts[0]:
        given = parts[0]["data"]
        return orjson.dumps({**given, **more} if isinstance(given, dict) else given)
    field = skill.invocation.text_field if skill is not None else None
    text = "\n".join(part["text"] for part in parts if "text" in part)
    # The configured field comes first, so that one named `message` or `skill` cannot replace either.
    wrapped = {field or "text": text, "message": message, "skill": skill.id if skill is not None else None, **more}
    return orjson.dumps(wrapped)


def _trace(callee: Callee, traceparent: str | None) -> list[tuple[str, str]]:
    if not traceparent:
        return []
    carried = [("traceparent", traceparent)]
    return carried if callee.protocol == "http" else [*carried, ("ce-traceparent", encode(traceparent))]


def _prepared(callee: Callee, skill: Skill | None) -> _Prepared:
    """Return the part of the request that depends only on the skill. It is discarded when the agent changes."""
    key = skill.id if skill is not None else None
    known: _Prepared | None = callee.prepared.get(key)
    if known is None:
        known = (
            _Prepared("/", _event_lines(callee, skill))
            if callee.protocol != "http"
            else _Prepared(_path(callee, skill), "")
        )
        callee.prepared[key] = known
    return known


def _event_lines(callee: Callee, skill: Skill | None) -> str:
    extensions: dict[str, Value] = {"a2aagent": callee.name}
    if skill is not None:
        extensions["a2askillid"] = skill.id
    subject = skill.id if skill is not None else None
    event = Event(id="", source=callee.source, type=_type(skill), subject=subject, extensions=extensions)
    return lines([header for header in binary(event)[0] if header[0] != "ce-id"])


def _path(callee: Callee, skill: Skill | None) -> str:
    if skill is None:
        return callee.base_path
    if skill.invocation.path:
        return skill.invocation.path
    return f"{callee.base_path}/skills/{skill.id}"


def _type(skill: Skill | None) -> str:
    if skill is None:
        return types.INVOKE_SYNC
    return skill.invocation.event_type or (types.INVOKE_ASYNC if skill.is_async else types.INVOKE_SYNC)
