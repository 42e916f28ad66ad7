"""The request that a container gets, by its protocol (design section 4). Pure.

Every attribute that somebody else chose (ids, skill) is percent-encoded like any CloudEvents attribute; over plain
http the ids are encoded the same way, because a client may put anything into a context id.
"""

from dataclasses import dataclass

import orjson

from lambdaagent.a2a import Json
from lambdaagent.a2a.params import raw_bytes
from lambdaagent.api.a2a import Skill
from lambdaagent.containers import filenames
from lambdaagent.containers.callee import Callee
from lambdaagent.events import charsets, types
from lambdaagent.events.cloudevents import Event, Value
from lambdaagent.events.http import binary, encode, holds_event
from lambdaagent.httpclient.codings import ACCEPT_ENCODING
from lambdaagent.httpclient.wire import lines

JSON = "application/json"
# In a message's metadata: it was the body of a direct call, of this content type, and reaches the container as such.
DIRECT = "directContentType"
# What a container may answer, the richest first.
ACCEPT = "application/a2a+json, application/cloudevents+json, application/json, text/event-stream, */*"


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    fixed: str = ""  # further header lines, made once


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
) -> ContainerRequest:
    """`attempt` is said where the call was delivered as an event."""
    prepared = _prepared(callee, skill)
    kind, body = _direct(message) or (JSON, data(skill, message))
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
    """The call as an event, for the way through a broker."""
    kind, body = _direct(message) or (JSON, data(skill, message))
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
) -> ContainerRequest:
    """Of a direct skill call: the body goes as it comes. The id is of the task, and its context, if it answers 202."""
    prepared = _prepared(callee, skill)
    headers = _trace(callee, traceparent) if traceparent else []
    if callee.protocol == "http":
        headers += [("A2A-Task-Id", task_id), ("A2A-Context-Id", task_id)]
    else:
        headers += [("ce-id", event_id), ("ce-a2ataskid", task_id), ("ce-a2acontextid", task_id)]
    if content_type is not None:
        headers.append(("content-type", content_type))
    return ContainerRequest(prepared.path, headers, fixed=prepared.fixed)


def for_event(event: Event) -> ContainerRequest:
    """Of an event that a Trigger delivers: as it is."""
    headers, body = binary(event)
    return ContainerRequest("/", [*headers, ACCEPT_ENCODING], body)


def _direct(message: Json) -> tuple[str, bytes] | None:
    kind = message.get("metadata", {}).get(DIRECT)
    if not isinstance(kind, str) or len(message["parts"]) != 1 or not kind.isprintable():
        return None
    if holds_event(kind):
        return None  # Its attributes would be the client's, where those of a call are the gateway's.
    (part,) = message["parts"]
    if "raw" in part:
        return kind, raw_bytes(part["raw"])
    # Of a text and of JSON the charset is the gateway's from here on, whatever they came in.
    if "text" in part:
        return charsets.as_utf8(kind), part["text"].encode()
    return (charsets.as_utf8(kind), orjson.dumps(part["data"])) if "data" in part else None


def data(skill: Skill | None, message: Json) -> bytes:
    """One data part is the container's own JSON; anything else is wrapped, with the text where today's agents look."""
    parts = message["parts"]
    if len(parts) == 1 and "data" in parts[0]:
        return orjson.dumps(parts[0]["data"])
    field = skill.invoke.text_field if skill is not None and skill.invoke is not None else None
    text = "\n".join(part["text"] for part in parts if "text" in part)
    # The user's name for the text comes first, so that a clash with `message` or `skill` cannot hide either.
    wrapped = {field or "text": text, "message": message, "skill": skill.id if skill is not None else None}
    return orjson.dumps(wrapped)


def _trace(callee: Callee, traceparent: str | None) -> list[tuple[str, str]]:
    if not traceparent:
        return []
    carried = [("traceparent", traceparent)]
    return carried if callee.protocol == "http" else [*carried, ("ce-traceparent", encode(traceparent))]


def _prepared(callee: Callee, skill: Skill | None) -> _Prepared:
    """What the skill alone decides. An agent's entry is made anew when it changes, and this with it."""
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
    if skill.invoke is not None and skill.invoke.path:
        return skill.invoke.path
    return f"{callee.base_path}/skills/{skill.id}"


def _type(skill: Skill | None) -> str:
    invoke = skill.invoke if skill is not None else None
    if invoke is None:
        return types.INVOKE_SYNC
    return invoke.event_type or (types.INVOKE_ASYNC if invoke.mode == "async" else types.INVOKE_SYNC)
