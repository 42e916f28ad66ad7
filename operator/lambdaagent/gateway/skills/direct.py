"""The direct skill call: the body goes to the container and its response to the client; only a 202 makes a task.

Both directions are streamed; most bodies are small and complete, and take a shorter path. Of the client's headers only
those that describe the body or trace the request reach the container. Credentials for the gateway and attributes that
the gateway vouches for (`ce-*`) must not reach a container from outside.
"""

from aiohttp import web

from lambdaagent.a2a.operations import Operation
from lambdaagent.containers import context_ids, requests
from lambdaagent.containers.callee import timeout
from lambdaagent.events.http import holds_event
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import bodies, passthrough, problems, request_id, tracing
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import SERVICES, WHY
from lambdaagent.gateway.skills import as_task
from lambdaagent.httpclient import wire
from lambdaagent.httpclient.client import Response
from lambdaagent.httpclient.errors import BadTargetError, UpstreamError, describe
from lambdaagent.tasks.direct_calls import DirectCall

_THROUGH = (
    "accept",
    "accept-encoding",
    "accept-language",
    "content-disposition",
    "content-encoding",
    "content-language",
    "tracestate",
)
_SMALL = 64 * 1024


async def call(request: web.Request, entry: Entry, skill_id: str) -> web.StreamResponse:
    skill = entry.callee.skills.get(skill_id)
    if skill is None:
        known = [each.id for each in entry.public.spec.a2a.skills] if entry.public.spec.a2a is not None else []
        raise ProblemError(
            404,
            "unknown-skill",
            f"The agent {entry.agent.key} has no skill {skill_id[:64]!r}; it has: {', '.join(known) or 'none'}.",
            members={"skills": known},
        )
    problems.require_method(request, "POST")
    if holds_event(request.headers.get("Content-Type", "")):
        # The container would take the event's attributes for the gateway's.
        where = f"/events/{entry.agent.namespace}"
        detail = f"The body of a skill call must not be an event; send events to {where}."
        raise ProblemError(415, "event-in-a-call", detail)
    if skill.is_async:
        return await as_task.as_task(request, entry, skill)
    _require_callable(entry)
    if "Prefer" in request.headers and as_task.wants_task(request):
        return await as_task.as_task(request, entry, skill)
    if entry.callee.protocol in ("a2a", "mcp") or entry.is_workflow:
        return await as_task.as_message(request, entry, skill)
    services = request.app[SERVICES]
    length = request.content_length
    if length is not None and length > services.config.max_body:
        raise web.HTTPRequestEntityTooLarge(services.config.max_body, length)
    target = entry.callee.target
    if target is None:
        raise problems.not_ready(entry.agent.key, why=entry.why_not)
    task_id, client = services.clock.new_id(), await requester(request, entry, Operation.SEND)
    if client.admit is not None:
        client.admit(skill.id)
    built = requests.for_direct(
        entry.callee,
        skill=skill,
        event_id=services.clock.new_mark(),
        content_type=request.headers.get("Content-Type"),
        traceparent=tracing.parent(request),
        task_id=task_id,
        context_id=context_ids.of_container(task_id, owner=client.owner),
    )
    if entry.callee.running_of_one is not None:
        async with services.tasks.quotas.room(entry.callee, client.owner):
            pass  # the call has no task yet, and a 202 makes one
    given = request.headers
    headers = built.headers
    headers.append(("x-request-id", request_id.request_id(request)))
    headers += [each for each in services.told.headers(entry.callee, client.origin) if each[0] not in _THROUGH]
    for name in _THROUGH:
        if name in given:
            headers += [(name, value) for value in given.getall(name)]
    small = length <= _SMALL if length is not None else not request.body_exists
    body = await _whole(request, length) if small else None

    def direct() -> DirectCall:
        return DirectCall(
            callee=entry.callee,
            skill=skill,
            task_id=task_id,
            message=lambda: as_task.sent_directly(request, skill, body),
            client=client,
        )

    seconds, calls = timeout(skill), services.tasks.direct_calls
    under_way = calls.under_way
    under_way[task_id] = direct
    try:
        try:
            response = await services.client.request(
                target,
                path=built.path,
                headers=headers,
                fixed=built.fixed,
                body=body if body is not None else bodies.passed_on(request, limit=services.config.max_body),
                length=length,
                first_byte=seconds,
                total=seconds,
            )
        except UpstreamError as error:
            await calls.answered(task_id, describe(error, "The agent"))
            raise problems.upstream(entry.agent.key, error) from error
        except BadTargetError as error:
            raise ProblemError(400, "bad-header", f"The request cannot be sent on: {error}.") from error
        async with response:
            if response.status == 202:
                return await as_task.accepted(request, entry, direct(), response)
            status = response.status
            why = "" if 200 <= status < 400 else f"The agent answered {status} to the call."
            await calls.answered(task_id, why)
            if why:
                request[WHY] = why
            return await _answer(request, entry, response)
    finally:
        calls.over(task_id)


def _require_callable(entry: Entry) -> None:
    if not entry.ready:
        raise problems.not_ready(entry.agent.key, why=entry.why_not)


async def _whole(request: web.Request, length: int | None) -> bytes:
    """Return the whole body, without waiting if it arrived together with the head."""
    content = request.content
    return content.read_nowait() if content.total_bytes == length else await bodies.as_sent(request)


async def _answer(request: web.Request, entry: Entry, response: Response) -> web.StreamResponse:
    if response.complete:
        body = response.take()
        headers = [pair for pair in wire.end_to_end(response.headers) if pair[0].lower() != "content-length"]
        return web.Response(status=response.status, headers=headers, body=body)
    return await passthrough.stream(request, response, agent=entry.agent.key)
