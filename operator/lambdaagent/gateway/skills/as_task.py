"""Direct skill calls that are not passed through: wanted as a task, or meant for a container that speaks A2A itself.

The body becomes a message of one part and back; nothing is lost on the way, because its content type goes with it.
"""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from aiohttp import web

from lambdaagent.a2a import Json, extensions
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.params import Send
from lambdaagent.a2a.states import Role, TaskState
from lambdaagent.a2a.tasks import state_of
from lambdaagent.api.a2a import Skill
from lambdaagent.containers import filenames, requests, responses
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import bodies, principals, urls
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES
from lambdaagent.gateway.skills import artifacts
from lambdaagent.httpclient.client import Response
from lambdaagent.httpclient.errors import UpstreamError
from lambdaagent.tasks.direct_calls import DirectCall

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
    return _accepted(request, entry, task, **{"Preference-Applied": "respond-async"})


def _accepted(request: web.Request, entry: Entry, task: Json, **headers: str) -> web.Response:
    headers["Location"] = f"{urls.endpoint(request, entry)}/tasks/{task['id']}"
    return web.Response(status=202, body=orjson.dumps(task), content_type="application/json", headers=headers)


async def accepted(request: web.Request, entry: Entry, call: DirectCall, response: Response) -> web.Response:
    """202 and the task, for a container that answers 202: it goes on by itself, and an event of its ends the task."""
    services = request.app[SERVICES]
    headers = {name.lower(): value for name, value in response.headers}
    try:
        body = await response.read(limit=services.max_body)
        said = responses.parts_of(headers.get("content-type", ""), body)
    except (UpstreamError, ValueError):
        said = []  # It accepts the call; what else it says is not needed.
    record = await services.tasks.direct_calls.accepted(call, said)
    return _accepted(request, entry, record.task)


def sent_directly(request: web.Request, skill: Skill, body: bytes | None) -> Json:
    """The message of a direct call; None: the body was passed on in pieces, and is not here any more."""
    if body is None:
        # Whatever bytes a header holds, the text must be one that can be stored.
        what = request.headers.get("Content-Type", "no type")[:100].encode(errors="replace").decode()
        size = f" of {request.content_length} bytes" if request.content_length is not None else ""
        text = f"The body{size} ({what}) was passed on to the agent and not kept."
        return _of_caller(request, skill, [{"text": text}])
    try:
        return _message_of(request, skill, body)
    except ProblemError:
        # The container has taken it as it is, whatever its type says.
        raw = {"raw": b64encode(body).decode(), "mediaType": "application/octet-stream"}
        return _of_caller(request, skill, [raw])


async def through_a2a(request: web.Request, entry: Entry, skill: Skill) -> web.Response:
    """The artifacts are the answer; the task is the container's and none of ours."""
    message = await _message(request, skill)
    with _refused():
        # Streamed where the container can: a long answer is then not cut for being silent.
        sent = Send(message, extensions=extensions.asked(request.headers), streamed=entry.callee.streams)
        task = await request.app[SERVICES].tasks.ask(entry.callee, sent, client=principals.client(request))
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
    """What the protocol refuses, as the problem that callers of a skill are told."""
    try:
        yield
    except A2AError as error:
        kind = error.problem.value
        if error.problem is Problem.INTERNAL:
            raise ProblemError(502, "agent-error", str(error)) from error  # the agent's, not the gateway's
        raise ProblemError(kind.http, kind.reason.lower().replace("_", "-"), str(error)) from error


async def _message(request: web.Request, skill: Skill) -> Json:
    return _message_of(request, skill, await bodies.whole(request))


def _message_of(request: web.Request, skill: Skill, body: bytes) -> Json:
    """The body as a message. Raises ProblemError where it is not what its type says."""
    content_type = request.headers.get("Content-Type", "")
    try:
        content_type.encode()
    except UnicodeEncodeError:
        raise ProblemError(400, "bad-header", "The header Content-Type is not UTF-8.") from None
    filename = filenames.read(request.headers.get("Content-Disposition"))
    try:
        parts = responses.parts_of(content_type, body, filename=filename) or [{"text": ""}]
    except ValueError as error:
        raise ProblemError(400, "bad-body", f"The body is not what its type says: {error}.") from None
    return _of_caller(request, skill, parts, **{requests.DIRECT: content_type or "application/octet-stream"})


def _of_caller(request: web.Request, skill: Skill, parts: list[Json], **metadata: str) -> Json:
    message_id = request.app[SERVICES].clock.new_id()
    return {
        "messageId": message_id,
        "role": str(Role.USER),
        "parts": parts,
        "metadata": {"skillId": skill.id, **metadata},
    }
