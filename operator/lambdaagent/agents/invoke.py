"""The request that a container gets, by its protocol (design section 4). Pure.

Every attribute that somebody else chose (ids, skill) is percent-encoded like any CloudEvents attribute; over plain
http the ids are encoded the same way, because a client may put anything into a context id.
"""

from dataclasses import dataclass

import orjson

from lambdaagent.a2a import Json
from lambdaagent.agents.callee import Callee
from lambdaagent.api.a2a import Skill
from lambdaagent.events.cloudevents import Event, Value
from lambdaagent.events.http import binary, encode

SYNC_TYPE = "io.knative.lambda.invoke.sync"
ASYNC_TYPE = "io.knative.lambda.invoke.async"
JSON = "application/json"
# What a container may answer, the richest first.
ACCEPT = "application/a2a+json, application/cloudevents+json, application/json, text/event-stream, */*"


@dataclass(frozen=True, slots=True)
class Call:
    path: str
    headers: list[tuple[str, str]]
    body: bytes = b""


def for_message(
    callee: Callee,
    *,
    skill: Skill | None,
    message: Json,
    task_id: str,
    context_id: str,
    event_id: str,
    traceparent: str | None,
) -> Call:
    body = data(skill, message)
    ids = {"a2ataskid": task_id, "a2acontextid": context_id}
    call = _call(callee, skill=skill, ids=ids, event_id=event_id, content_type=JSON, traceparent=traceparent)
    return Call(call.path, [*call.headers, ("accept", ACCEPT)], body)


def for_direct(
    callee: Callee, *, skill: Skill, event_id: str, content_type: str | None, traceparent: str | None
) -> Call:
    """Of a direct skill call: no task, and the body goes as it comes."""
    return _call(callee, skill=skill, ids={}, event_id=event_id, content_type=content_type, traceparent=traceparent)


def for_event(event: Event) -> Call:
    """Of an event that a Trigger delivers: as it is."""
    headers, body = binary(event)
    return Call("/", headers, body)


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


def _call(
    callee: Callee,
    *,
    skill: Skill | None,
    ids: dict[str, str],
    event_id: str,
    content_type: str | None,
    traceparent: str | None,
) -> Call:
    trace = [("traceparent", traceparent)] if traceparent else []
    if callee.protocol == "http":
        headers = [("content-type", content_type)] if content_type else []
        if ids:
            headers += [("A2A-Task-Id", encode(ids["a2ataskid"])), ("A2A-Context-Id", encode(ids["a2acontextid"]))]
        return Call(_path(callee, skill), headers + trace)
    extensions: dict[str, Value] = dict(ids)
    if skill is not None:
        extensions["a2askillid"] = skill.id
    extensions["a2aagent"] = callee.name
    if traceparent:
        extensions["traceparent"] = traceparent
    event = Event(
        id=event_id,
        source=callee.source,
        type=_type(skill),
        subject=skill.id if skill is not None else None,
        datacontenttype=content_type,
        extensions=extensions,
    )
    return Call("/", binary(event)[0] + trace)


def _path(callee: Callee, skill: Skill | None) -> str:
    if skill is None:
        return callee.base_path
    if skill.invoke is not None and skill.invoke.path:
        return skill.invoke.path
    return f"{callee.base_path}/skills/{skill.id}"


def _type(skill: Skill | None) -> str:
    invoke = skill.invoke if skill is not None else None
    if invoke is None:
        return SYNC_TYPE
    return invoke.event_type or (ASYNC_TYPE if invoke.mode == "async" else SYNC_TYPE)
