"""The prompts, resources and completions of one agent whose container is an MCP server: the container answers.

These methods exist only at the endpoint of such an agent. They are no skills, so whoever asks must have the right to
call the agent as a whole. The container's questions reach the host with its state, and come back the same way.
"""

import asyncio
from collections.abc import Awaitable, Callable

from lambdaagent.a2a import Json
from lambdaagent.a2a.operations import Operation
from lambdaagent.containers.mcp_forward import METHODS, SECONDS, McpForward
from lambdaagent.containers.who_asks import NotCalledError
from lambdaagent.errors import TemporaryError
from lambdaagent.gateway.access import authorization
from lambdaagent.gateway.access.requester import requester
from lambdaagent.gateway.directory import Entry
from lambdaagent.gateway.http.problems import ProblemError
from lambdaagent.gateway.mcp.call import McpCall
from lambdaagent.httpclient.errors import BadTargetError, UpstreamError, describe
from lambdaagent.mcp import capabilities
from lambdaagent.mcp.client import ServerError
from lambdaagent.mcp.protocol import Code, McpError

CAPABILITIES: Json = {"prompts": {}, "resources": {}, "completions": {}}
_CACHED = ("prompts/list", "resources/list", "resources/templates/list", "resources/read")
_OF_MODERN = ("resultType", "ttlMs", "cacheScope")
_CODES = (Code.METHOD_NOT_FOUND, Code.INVALID_PARAMS, Code.MISSING_CAPABILITY)
_OWN = "lambdaagent://"  # resources of the gateway
_LONGEST_CACHED = 60_000  # milliseconds: the container may change with a rollout


def is_forwarded(call: McpCall) -> bool:
    """Return whether the endpoint is that of one agent whose container is an MCP server."""
    return call.entry is not None and call.entry.callee.protocol == "mcp"


def method(call: McpCall) -> Callable[[McpCall], Awaitable[Json]] | None:
    """Return the handler of the request, if the container answers it."""
    if call.message.method not in METHODS or not is_forwarded(call):
        return None
    return None if str(call.message.params.get("uri", "")).startswith(_OWN) else _ask


async def _ask(call: McpCall) -> Json:
    entry = call.entry
    if entry is None or not entry.callee.has_address or not entry.ready:
        why = entry.why_not if entry is not None else ""
        raise TemporaryError(f"the agent cannot be called: {why or 'it has no address'}")
    await authorization.require_operation(call.request, entry, Operation.SEND)
    await _require_the_whole(call, entry)
    result = await _answer(call, entry)
    asks = result.get("resultType") == "input_required"
    if asks and not call.message.modern:
        raise McpError(Code.INTERNAL_ERROR, "The agent asks for input, which this revision has no way to do here.")
    if not call.message.modern:
        return {key: value for key, value in result.items() if key not in _OF_MODERN}
    return result if asks else result | _caching(call, result)


async def _require_the_whole(call: McpCall, entry: Entry) -> None:
    """Raises McpError for a caller that may call single skills only."""
    try:
        await authorization.require_all_skills(call.request, entry)
    except ProblemError as error:
        if error.status != 403:
            raise
        raise McpError(Code.FORBIDDEN, str(error)) from None


async def _answer(call: McpCall, entry: Entry) -> Json:
    client = await requester(call.request, entry, Operation.SEND)
    services = call.services
    forward = McpForward(client=services.client, clock=services.clock, told=services.told, external=services.external)
    asked = capabilities.askable(call.message.capabilities) if call.message.modern else {}
    try:
        async with asyncio.timeout(SECONDS):
            return await forward.ask(
                entry.callee,
                call.message.method,
                call.message.params,
                capabilities=asked,
                origin=client.origin,
            )
    except ServerError as error:
        code = next((each for each in _CODES if each == error.code), Code.INTERNAL_ERROR)
        raise McpError(code, error.text, error.data) from None
    except TimeoutError:
        raise McpError(Code.INTERNAL_ERROR, f"The agent did not answer within {SECONDS:g} s.") from None
    except NotCalledError as error:
        raise McpError(Code.INTERNAL_ERROR, f"The agent was not asked: {error}.") from None
    except (UpstreamError, BadTargetError) as error:
        raise McpError(Code.INTERNAL_ERROR, describe(error, _title(entry))) from None


def _title(entry: Entry) -> str:
    return entry.callee.title if entry.callee.external is not None else f"The agent {entry.agent.key}"


def _caching(call: McpCall, result: Json) -> Json:
    """Return for how long hosts may keep the result. What depends on rights is for its caller alone."""
    if call.message.method not in _CACHED:
        return {}
    ttl, scope = result.get("ttlMs"), result.get("cacheScope")
    known = isinstance(ttl, int) and not isinstance(ttl, bool) and ttl >= 0
    shared = scope == "public" and call.services.guard.off
    return {
        "ttlMs": min(ttl, _LONGEST_CACHED) if known and ttl is not None else 0,
        "cacheScope": "public" if shared else "private",
    }
