"""Messages from one agent to another, in the form of requirement 003.

`from` is who sends it, so under enforced access it must be the caller; nobody speaks for another.
"""

import orjson
from aiohttp import web

from lambdaagent import bounded_json, media_types
from lambdaagent.a2a import Json, params
from lambdaagent.a2a.errors import A2AError, Problem
from lambdaagent.a2a.operations import Operation
from lambdaagent.access.rules import Mode
from lambdaagent.api import naming
from lambdaagent.coordination import agent_message
from lambdaagent.coordination.agent_message import BadAgentMessageError
from lambdaagent.gateway.access import authorization, challenges, limiting
from lambdaagent.gateway.access.authentication import PRINCIPAL
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.coordination import acting
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http import bodies, problems
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.services import ROUTE, SERVICES
from lambdaagent.mcp.protocol import MODERN

_AMBIGUOUS = 10  # agents that an error names


async def serve(request: web.Request) -> web.Response:
    request[ROUTE] = "a2a-message"
    services = request.app[SERVICES]
    try:
        message = agent_message.read(bounded_json.loads(await bodies.whole(request)))
    except BadAgentMessageError as error:
        raise ProblemError(400, "bad-message", f"The message is refused: {error}.") from None
    _require_sender(request, message.sender)
    entry = await _receiver(request, message.receiver)
    limiting.require_agent(services, entry, request[PRINCIPAL])
    now = services.clock.now()
    if message.kind == "capability":
        return _answered(agent_message.capability(message, _declaration(request, entry), now=now))
    if not entry.ready:
        raise problems.not_ready(entry.agent.key, why=entry.why_not)
    try:
        await authorization.require_operation(request, entry, Operation.SEND)
        client = await requester(request, entry, Operation.SEND)
        sent = agent_message.as_a2a(message, message_id=services.clock.new_id())
        configuration = {"returnImmediately": not message.awaits_answer}
        send = params.send({"message": sent, "configuration": configuration})
        task = await services.tasks.send(entry.callee, send, client=client)
    except A2AError as error:
        if error.problem is Problem.PERMISSION_DENIED:
            raise ProblemError(403, "forbidden", str(error)) from None
        raise ProblemError(422, "refused-message", str(error)) from None
    answer = agent_message.answer(message, task, now=services.clock.now())
    return _answered(answer, status=200 if message.awaits_answer else 202)


def _require_sender(request: web.Request, sender: str) -> None:
    """Raises ProblemError: 403, or 401 without a credential.

    An agent's principal is `agent:namespace/name`; the source may be left out.
    """
    principal = request[PRINCIPAL]
    if request.app[SERVICES].guard.mode is not Mode.ENFORCE:
        return
    if principal.anonymous and sender != principal.name:
        raise challenges.unauthorized(request)
    if sender != principal.name:
        acting.require(request, sender, field="from")


async def _receiver(request: web.Request, to: str) -> Entry:
    """Return the agent: by `namespace/name`, or by a name that only one agent has. Raises ProblemError."""
    services = request.app[SERVICES]
    namespace, slash, name = to.rpartition("/")
    if slash:
        asked = (namespace, name) if naming.is_label(namespace, name) else ("", "")
        found = services.directory.find(*asked) if asked[0] else None
        entry = await authorization.seen(request, found, asked=asked)
        matches = [entry] if entry is not None else []
    else:
        matches = [each async for each in authorization.listed(request, lambda entry: entry.key[1] == name)]
    matches = [each for each in matches if each.enabled]
    if len(matches) == 1:
        return matches[0]
    services.directory.require_listed(namespace or None)
    if not matches:
        raise ProblemError(404, "unknown-agent", f"There is no agent {to[:127]!r}; GET /agents lists the agents.")
    names = ", ".join(each.agent.key for each in matches[:_AMBIGUOUS])
    raise ProblemError(400, "ambiguous-agent", f"Several agents have the name {name[:63]!r}: {names}.")


def _declaration(request: web.Request, entry: Entry) -> Json:
    """Return what the agent can do for the caller, as requirement 003 writes it."""
    return {
        "agent_id": entry.agent.key,
        "name": entry.agent.name,
        "capabilities": [
            {
                "name": skill.id,
                "description": skill.description or skill.name,
                "input_schema": skill.input_schema or {},
                "output_schema": skill.output_schema or {},
            }
            for skill in authorization.listed_skills(request, entry)
        ],
        "protocols": [*(f"a2a/{version.value}" for version in entry.offered), *(f"mcp/{each}" for each in MODERN)],
    }


def _answered(answer: Json, *, status: int = 200) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(answer), content_type=media_types.JSON)
