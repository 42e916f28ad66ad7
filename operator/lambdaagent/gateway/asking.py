"""Direct skill calls that are not passed through: wanted as a task, or meant for a container that speaks A2A itself.

The body becomes a message of one part and back; nothing is lost on the way, because its content type goes with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from aiohttp import web

from lambdaagent.a2a import Json, extensions
from lambdaagent.a2a.errors import A2AError
from lambdaagent.a2a.params import Send, raw_bytes
from lambdaagent.a2a.states import Role, TaskState
from lambdaagent.a2a.tasks import state_of
from lambdaagent.agents import answers, invoke
from lambdaagent.api.a2a import Skill
from lambdaagent.gateway import bodies, principals, urls
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.problems import ProblemError
from lambdaagent.gateway.services import SERVICES

_SAID = 2_000  # characters of a container's words that an error repeats


def wants_task(request: web.Request) -> bool:
    """RFC 7240 section 4.1."""
    return any(
        preference.strip().lower() == "respond-async"
        for value in request.headers.getall("Prefer", ())
        for preference in value.split(",")
    )


async def as_task(request: web.Request, entry: Entry, skill: Skill) -> web.Response:
    """202 and the task, which goes on by itself."""
    message = await _message(request, skill)
    with _refused():
        sent = Send(message, return_immediately=True)
        task = await request.app[SERVICES].tasks.send(entry.callee, sent, client=principals.client(request))
    headers = {
        "Location": f"{urls.endpoint(request, entry)}/tasks/{task['id']}",
        "Preference-Applied": "respond-async",
    }
    return web.Response(status=202, body=orjson.dumps(task), content_type="application/json", headers=headers)


async def through_a2a(request: web.Request, entry: Entry, skill: Skill) -> web.Response:
    """The first artifact is the answer; the task is the container's and none of ours."""
    message = await _message(request, skill)
    with _refused():
        sent = Send(message, extensions=extensions.asked(request.headers))
        task = await request.app[SERVICES].tasks.ask(entry.callee, sent, client=principals.client(request))
    state = state_of(task)
    if state is not TaskState.COMPLETED:
        text = task["status"].get("message", {}).get("parts", [{}])[0].get("text", "")
        said = text if len(text) <= _SAID else f"{text[:_SAID]}..."
        detail = f"The agent {entry.agent.key} ended with {state}{': ' if said else ''}{said}"
        raise ProblemError(502, "not-completed", detail if said else f"{detail}.", members={"state": str(state)})
    parts = next((artifact["parts"] for artifact in task.get("artifacts", [])), None)
    return _answer(parts or task["status"].get("message", {}).get("parts", []))


@contextmanager
def _refused() -> Iterator[None]:
    """What the protocol refuses, as the problem that callers of a skill are told."""
    try:
        yield
    except A2AError as error:
        kind = error.problem.value
        raise ProblemError(kind.http, kind.reason.lower().replace("_", "-"), str(error)) from error


async def _message(request: web.Request, skill: Skill) -> Json:
    content_type, clock = request.headers.get("Content-Type", ""), request.app[SERVICES].clock
    try:
        content_type.encode()
    except UnicodeEncodeError:
        raise ProblemError(400, "bad-header", "The header Content-Type is not UTF-8.") from None
    body = await bodies.whole(request)
    try:
        parts = answers.parts_of(content_type, body) or [{"text": ""}]
    except ValueError as error:
        raise ProblemError(400, "bad-body", f"The body is not what its type says: {error}.") from None
    metadata = {"skillId": skill.id, invoke.DIRECT: content_type or "application/octet-stream"}
    return {"messageId": clock.new_id(), "role": str(Role.USER), "parts": parts, "metadata": metadata}


def _answer(parts: list[Json]) -> web.Response:
    texts = [part["text"] for part in parts if "text" in part]
    if not parts or len(texts) == len(parts):
        return web.Response(text="".join(texts))
    part = parts[0]
    if "data" in part:
        return web.Response(body=orjson.dumps(part["data"]), content_type="application/json")
    if "raw" in part:
        kind = part.get("mediaType") or ""
        headers = {"Content-Type": kind if _stands_in_a_header(kind) else "application/octet-stream"}
        return web.Response(body=raw_bytes(part["raw"]), headers=headers)
    if "url" in part:
        if part["url"].startswith(("http://", "https://")) and _stands_in_a_header(part["url"]):
            return web.Response(status=303, headers={"Location": part["url"]})
        return web.Response(text=part["url"])
    return web.Response(text="".join(texts))


def _stands_in_a_header(value: str) -> bool:
    """A container may say anything, and a line break would end the answer's head."""
    return bool(value) and value.isascii() and value.isprintable()
