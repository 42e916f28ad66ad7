"""Direct skill calls that are not passed through: those that become tasks, and those to a container with A2A.

The body becomes a message of one part and is restored from it. The message carries the content type, so nothing is
lost.
"""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from aiohttp import web

from lambdaagent import media_types
from lambdaagent.a2a import Json, extensions
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation
from lambdaagent.a2a.params import Send
from lambdaagent.a2a.states import Role, TaskState
from lambdaagent.a2a.tasks import state_of
from lambdaagent.api.skills import Skill
from lambdaagent.containers import filenames, requests, responses
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import bodies, urls
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES
from lambdaagent.gateway.skills import artifacts
from lambdaagent.httpclient.client import Response
from lambdaagent.httpclient.errors import UpstreamError
from lambdaagent.tasks.direct_calls import DirectCall

_SAID = 2_000  # characters of a container's error text that an error repeats


def wants_task(request: web.Request) -> bool:
    """Return whether the client prefers an asynchronous response (RFC 7240 section 4.1)."""
    return any(
        preference.strip().lower() == "respond-async"
        for value in request.headers.getall("Prefer", ())
        for preference in value.split(",")
    )


async def as_task(request: web.Request, entry: Entry, skill: Skill) -> web.Response:
    """Start a task and answer 202 with it; the task continues after the response."""
    message = await _message(request, skill)
    with _refused():
        sent = Send(message, return_immediately=True)
        client = await requester(request, entry, Operation.SEND)
        task = await request.app[SERVICES].tasks.send(entry.callee, sent, client=client)
    return _accepted(request, entry, task, **{"Preference-Applied": "respond-async"})


def _accepted(request: web.Request, entry: Entry, task: Json, **headers: str) -> web.Response:
    headers["Location"] = f"{urls.endpoint(request, entry)}/tasks/{task['id']}"
    return web.Response(status=202, body=orjson.dumps(task), content_type=media_types.JSON, headers=headers)


async def accepted(request: web.Request, entry: Entry, call: DirectCall, response: Response) -> web.Response:
    """Answer 202 with the task of a call that the container answered with 202. A later event ends the task."""
    services = request.app[SERVICES]
    headers = {name.lower(): value for name, value in response.headers}
    try:
        body = await response.read(limit=services.config.max_body)
        said = responses.parts_of(headers.get("content-type", ""), body)
    except (UpstreamError, ValueError):
        said = []  # The container accepted the call; the body of its response is optional.
    record = await services.tasks.direct_calls.accepted(call, said)
    return _accepted(request, entry, record.task)


def sent_directly(request: web.Request, skill: Skill, body: bytes | None) -> Json:
    """Return the message of a direct call. `body` is None if it was streamed to the container and not kept."""
    if body is None:
        # A header may hold any bytes, and the text must be storable.
        what = request.headers.get("Content-Type", "no type")[:100].encode(errors="replace").decode()
        size = f" of {request.content_length} bytes" if request.content_length is not None else ""
        text = f"The body{size} ({what}) was passed on to the agent and is not stored."
        return _of_caller(request, skill, [{"text": text}])
    try:
        return _message_of(request, skill, body)
    except ProblemError:
        # The container has received the body unchanged, even if it does not match its content type.
        raw = {"raw": b64encode(body).decode(), "mediaType": "application/octet-stream"}
        return _of_caller(request, skill, [raw])


async def as_message(request: web.Request, entry: Entry, skill: Skill) -> web.Response:
    """Answer with the artifacts of the container's task; the gateway does not store the task."""
    message = await _message(request, skill)
    with _refused():
        # Stream if the container supports it, so that a long answer is not cut for being silent.
        sent = Send(message, extensions=extensions.asked(request.headers), streamed=entry.callee.streams)
        client = await requester(request, entry, Operation.SEND)
        task = await request.app[SERVICES].tasks.unstored_calls.ask(entry.callee, sent, client=client)
    state = state_of(task)
    if state is not TaskState.COMPLETED:
        parts = task["status"].get("message", {}).get("parts") or [{}]
        text = parts[0].get("text", "")
        said = text if len(text) <= _SAID else f"{text[:_SAID]}..."
        detail = f"The agent {entry.agent.key} ended with {state}{': ' if said else ''}{said}"
        raise ProblemError(502, "not-completed", detail if said else f"{detail}.", members={"state": str(state)})
    return artifacts.response(task, accept=request.headers.get("Accept", ""))


@contextmanager
def _refused() -> Iterator[None]:
    """Turn an A2AError into the ProblemError that a direct skill call answers with."""
    try:
        yield
    except A2AError as error:
        kind = error.problem.value
        if error.problem is Problem.INTERNAL:
            raise ProblemError(502, "agent-error", str(error)) from error  # an error of the agent, not of the gateway
        raise ProblemError(kind.http, kind.reason.lower().replace("_", "-"), str(error)) from error


async def _message(request: web.Request, skill: Skill) -> Json:
    return _message_of(request, skill, await bodies.whole(request))


def _message_of(request: web.Request, skill: Skill, body: bytes) -> Json:
    """Return the body as a message. Raises ProblemError (400) if the body does not match its content type."""
    content_type = request.headers.get("Content-Type", "")
    try:
        content_type.encode()
    except UnicodeEncodeError:
        raise ProblemError(400, "bad-header", "The header Content-Type is not UTF-8.") from None
    filename = filenames.read(request.headers.get("Content-Disposition"))
    try:
        parts = responses.parts_of(content_type, body, filename=filename) or [{"text": ""}]
    except ValueError as error:
        raise ProblemError(400, "bad-body", f"The body does not match its content type: {error}.") from None
    return _of_caller(request, skill, parts, **{requests.DIRECT: content_type or "application/octet-stream"})


def _of_caller(request: web.Request, skill: Skill, parts: list[Json], **metadata: str) -> Json:
    message_id = request.app[SERVICES].clock.new_id()
    return {
        "messageId": message_id,
        "role": str(Role.USER),
        "parts": parts,
        "metadata": {"skillId": skill.id, **metadata},
    }
