"""The tools by which a host registers agents and has them work together: each calls the function of its HTTP endpoint.

Where nobody is named who acts, the caller acts for itself.
"""

from collections.abc import Awaitable, Callable

import orjson

from lambdaagent.a2a import Json
from lambdaagent.coordination import job
from lambdaagent.coordination.bodies import BadBodyError, loads
from lambdaagent.coordination.message import of_body
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway.coordination import acting, jobs, messages, methods
from lambdaagent.gateway.coordination.methods import ExtensionCall
from lambdaagent.gateway.coordination.requests import parameters, require_identity
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.gateway.mcp.platform.platform_calls import ToolError


async def register(call: McpCall, given: Json) -> Json:
    return await _result(call, methods.register, given)


async def context(call: McpCall, given: Json) -> Json:
    more = {name: value for name, value in given.items() if name != "action"}
    if given["action"] == "patch":
        return await _result(call, methods.patch_context, more)
    return await _result(call, methods.get_context, {"context_id": given["context_id"]})


async def propose(call: McpCall, given: Json) -> Json:
    return await _result(call, methods.propose, _acting(call, given))


async def vote(call: McpCall, given: Json) -> Json:
    return await _result(call, methods.vote, _acting(call, given))


async def create_job(call: McpCall, given: Json) -> Json:
    async def run(extension: ExtensionCall) -> Json:
        owner = require_identity(extension.request)
        made, _ = await jobs.accepted(extension.request, parameters(job.NewJob, extension.params), owner=owner)
        return jobs.shown(made)

    return await _result(call, run, given)


async def job_status(call: McpCall, given: Json) -> Json:
    async def run(extension: ExtensionCall) -> Json:
        return jobs.shown(await jobs.find(extension.request, extension.params["job_id"]))

    return await _result(call, run, given)


async def to_mailbox(call: McpCall, entry: Entry, given: Json) -> Json:
    """Send a message to an agent that cannot be called: it is durable, and an answer comes to the caller's mailbox."""

    async def run(extension: ExtensionCall) -> Json:
        fields: Json = {
            "sender_agent_id": acting.own_id(extension.request),
            "receiver_agent_id": entry.agent_id,
            **{name: given[name] for name in ("message_type", "content", "session_id") if name in given},
        }
        try:
            message = of_body(loads(orjson.dumps(fields)))
        except BadBodyError as error:
            raise ProblemError(400, "bad-body", f"The message is refused: {error}.") from None
        receipt, _ = await messages.accepted(extension.request, message)
        sent = {"message_id": receipt["message_id"], "agent_id": entry.agent_id, "status": "queued"}
        return sent | {"context_id": message.session, "reason": _LATER}

    return await _result(call, run, given)


_LATER = "The message is queued for the agent; an answer comes to your mailbox, GET /a2a/messages."


def _acting(call: McpCall, given: Json) -> Json:
    return {"from": acting.own_id(call.request), **given}


async def _result(call: McpCall, run: Callable[[ExtensionCall], Awaitable[Json]], given: Json) -> Json:
    """Raises ToolError, and ProblemError for what a host handles itself: a missing credential, too many requests."""
    try:
        found = await run(ExtensionCall(call.request, None, given))
    except ProblemError as error:
        if error.status in (401, 429):
            raise
        raise ToolError(str(error)) from None
    except TemporaryError as error:
        raise ToolError(f"That cannot be done now: {error}.") from None
    return {"content": [{"type": "text", "text": orjson.dumps(found).decode()}], "structuredContent": found}
